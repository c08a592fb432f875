// What the cache keeps of a response beside its bytes, and its form on disk (docs/formats.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "http/response_head.h"

namespace larder::cache {

// Everything that decides whether a stored response may be used, worked out once when it is stored
// (RFC 9111 section 4.2), so that a hit only compares numbers.
struct Freshness {
  std::chrono::seconds lifetime{0};
  std::chrono::microseconds initial_age{0};  // corrected_initial_age, at response_time
  std::chrono::seconds stale_while_revalidate{0};
  std::chrono::seconds stale_if_error{0};
  bool is_heuristic = false;
  bool must_revalidate = false;        // never served stale
  bool always_revalidate = false;      // no-cache: not even served fresh without asking
  bool answers_authorization = false;  // may answer requests with Authorization (section 3.5)

  bool operator==(const Freshness&) const = default;
};

// What ties bytes of several responses to one representation.
enum class GenerationKind : std::uint8_t {
  SingleResponse = 0,  // nothing: one response, never combined or resumed
  StrongEtag = 1,
  LastModified = 2,  // together with the length
};  // stored on disk, do not renumber

struct Generation {
  GenerationKind kind = GenerationKind::SingleResponse;
  std::string validator;  // text for If-Range; empty for SingleResponse

  bool operator==(const Generation&) const = default;
};

// A request field named by Vary, as it was sent to the origin.
struct NominatedField {
  std::string name;                  // lower case
  std::optional<std::string> value;  // several lines joined by ", "; nothing when not sent

  bool operator==(const NominatedField&) const = default;
};

struct StoredResponse {
  std::string key;   // the full text of key.h
  std::string host;  // that was asked: further parts come from there, whatever alias a client names
  int status = 200;
  // End-to-end fields in canonical spelling, without those that the node writes itself
  // (http::may_send_to_client) and without Set-Cookie; Cache-Status is that of other caches.
  std::vector<http::ResponseField> fields;
  std::vector<NominatedField> vary;
  base::WallTime request_time;
  base::WallTime response_time;
  base::WallTime date;           // the origin's Date; response_time when it sent none
  bool has_origin_date = false;  // Date came from the origin's own clock
  Freshness freshness;
  Generation generation;
  std::optional<std::uint64_t> length;  // of the whole representation; absent until known
  // Ties further variants of the URL to this first one (variant.h); 0 in those and without Vary.
  std::uint64_t variant_epoch = 0;

  std::string_view field(http::FieldName name) const;  // first of that name; empty when absent
  std::string_view etag() const { return field(http::FieldName::ETag); }
  std::string_view last_modified() const { return field(http::FieldName::LastModified); }
};

inline constexpr std::size_t kLongestStoredResponse = 61440;
inline constexpr std::size_t kMostNominatedFields = 16;

// ResourceExhausted when the form would be longer than kLongestStoredResponse bytes or has more
// parts than parse takes.
base::Result<std::string> serialize(const StoredResponse& response);

// DataLoss for anything that serialize does not write: another version, bad lengths, texts that
// could not stand in a head, bytes left over.
base::Result<StoredResponse> parse_stored_response(std::span<const std::uint8_t> bytes);

// Only the key, inside `form`, whatever version wrote it; empty when there is none.
std::string_view stored_key(std::string_view form);

}  // namespace larder::cache
