// Which of several representations of one URL a request selects (RFC 9111 section 4.1).
//
// The first variant is stored under the URL's own key. Others take one of kVariantSlots further
// keys, which are made of that key, a number drawn when the first variant was stored (so that
// removing it makes the others unreachable) and the slot. A slot is looked for from a place that
// the nominated fields choose; when all are taken, the variant at that place is replaced.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/stored_response.h"
#include "http/forwarding.h"
#include "http/request_head.h"

namespace larder::cache {

// Beside the first one: 16 variants of one URL.
inline constexpr unsigned kVariantSlots = 15;

// The values of one field as one text that is the same for requests that mean the same: lines
// joined, whitespace around commas left out, languages in lower case and sorted. Nothing for no
// values.
std::optional<std::string> normalise_nominated(std::string_view name,
                                               std::span<const std::string_view> values);

// What a fill of this kind sends of the named field (lower case), normalised.
std::optional<std::string> nominated_value(std::string_view name, const http::RequestHead& request,
                                           http::Exchange fill);

// Whether the stored response varies by who asks and the request says it: fills do not tell the
// origin, so nothing that they bring is the answer.
bool varies_by_who_asks(const StoredResponse& stored, const http::RequestHead& request);

// Whether the stored response is the one that a fill for this request would get: the fields named
// by Vary mean the same, as far as fills send them; or the stored language is the one that the
// request prefers to all others. Never where varies_by_who_asks().
bool matches_vary(const StoredResponse& stored, const http::RequestHead& request,
                  http::Exchange fill);

// Where to begin looking for the variant of this request, among those of `first`.
unsigned first_variant_slot(const StoredResponse& first, const http::RequestHead& request,
                            http::Exchange fill);

// The full key text of a slot; `key` is the URL's own.
std::string variant_key(std::string_view key, std::uint64_t epoch, unsigned slot);

}  // namespace larder::cache
