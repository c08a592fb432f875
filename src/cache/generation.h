// Which responses carry bytes of one representation. Bytes of two generations are never combined:
// where the rules here cannot prove that two responses belong together, they do not.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cache/stored_response.h"
#include "http/range.h"
#include "http/response_head.h"

namespace larder::cache {

enum class IdentityRule {
  // A strong entity tag; else a Last-Modified that is strong by RFC 9110 section 8.8.2.2 together
  // with the length.
  Standard,
  // Last-Modified and length, whatever the tag says: for networks whose edges give one file
  // different tags. An administrator's statement about an origin.
  LengthAndLastModified,
};

// Length of the whole representation, of a 200 or a 206; nothing when the response does not say or
// is coded for transport in a way that hides it.
std::optional<std::uint64_t> complete_length(const http::ResponseHead& response);

Generation identify(const http::ResponseHead& response, IdentityRule rule, base::WallTime now);

// What a response to a request for `wanted` (with If-Range: generation.validator) is to a stored
// generation.
enum class Part {
  Belongs,          // 206: its bytes start at wanted.first and are of this generation
  Whole,            // 200 of the same generation, with or without a length: no ranges there
  OtherGeneration,  // 200 or 206 of another representation, or nothing proves that it is the same
  NoBytes,          // any other status: an error, a redirect, ...
};
Part judge_part(const StoredResponse& stored, const http::ResponseHead& response,
                http::ByteRange wanted, IdentityRule rule, base::WallTime now);

// Whether a client's If-Range (its text) holds for the stored representation.
bool if_range_holds(const StoredResponse& stored, std::string_view if_range, base::WallTime now);

}  // namespace larder::cache
