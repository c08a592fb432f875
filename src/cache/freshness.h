// The decisions of a shared cache (RFC 9111), as pure functions of heads and times. Each gives a
// reason, a fixed text for the access log, the metrics and `explain`. When the standard leaves
// doubt, nothing is stored and nothing stored is served.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/generation.h"
#include "cache/stored_response.h"
#include "http/request_head.h"
#include "http/response_head.h"

namespace larder::cache {

// What must be remembered of the request that starts a fill, because the client's buffer does not
// outlive it. `sent` are the fields that go to the origin.
struct FillRequest {
  http::Method method = http::Method::Get;
  bool has_body = false;
  bool has_authorization = false;
  bool no_store = false;
  std::vector<http::ResponseField> sent{};
};
// With the fields of a shared fill (http::Exchange::SharedFill).
FillRequest describe_fill(const http::RequestHead& request);

// When the fill's request was sent and its response head received.
struct ExchangeTimes {
  base::WallTime request;
  base::WallTime response;
};

// What an origin's settings say.
struct StorePolicy {
  bool key_is_stripped = false;  // write_key left something out
  std::optional<std::chrono::seconds>
      lifetime{};  // instead of what a 200 says; no-store still wins
  std::chrono::seconds heuristic_limit{24 * 3600};
  std::vector<std::string> ignored_vary{};  // lower-case names
  IdentityRule identity = IdentityRule::Standard;
};

struct StoreDecision {
  bool store = false;
  std::string_view reason{};  // why not
  StoredResponse response{};  // complete when `store`
};

// Storing is for 200, 206 (as a part of the representation), 301, 308, 404 and 410.
StoreDecision decide_to_store(std::string_view key, const FillRequest& request,
                              const http::ResponseHead& response, ExchangeTimes times,
                              const StorePolicy& policy);

struct UseDecision {
  enum class Kind {
    Serve,
    ServeStaleWhileRevalidate,  // serve now, and revalidate in the background
    Revalidate,                 // ask the origin with the stored validators first
    Miss,                       // fetch, share, maybe store
    Pass,                       // forward for this client alone; do not store
    Unsatisfied,                // only-if-cached: 504
  };
  Kind kind = Kind::Miss;
  std::string_view reason{};
  std::chrono::seconds age{0};        // of what was found, for the Age field
  std::chrono::seconds remaining{0};  // freshness left; negative when stale
};

// `stored` is null when nothing was found under the key. `key` is compared with the stored one.
UseDecision decide_to_use(const StoredResponse* stored, std::string_view key,
                          const http::RequestHead& request, const StorePolicy& policy,
                          base::WallTime now);

// Whether the stored response is the one that a shared fill for this request would get: the fields
// named by Vary are the same, as far as fills send them. decide_to_use includes it; a request that
// waited for the fill of another one asks this before it takes that answer.
bool matches_vary(const StoredResponse& stored, const http::RequestHead& request);

std::chrono::seconds current_age(const StoredResponse& stored, base::WallTime now);

// After an origin failed (no answer, 500, 502, 503, 504) while a stored response was revalidated:
// by its stale-if-error, or within `grace` after it became stale (RFC 9111 section 4.2.4).
bool may_serve_on_error(const StoredResponse& stored, std::chrono::seconds grace,
                        base::WallTime now);

// Fields that make a request conditional on the stored validators: If-None-Match,
// If-Modified-Since.
std::vector<http::ResponseField> validation_fields(const StoredResponse& stored);

enum class Refreshed {
  Updated,  // `stored` has new fields and times: write it back
  NotThis,  // the 304 is about another representation: fetch anew
  Drop,     // it may be used for this answer, but must no longer be stored
};
Refreshed update_after_304(StoredResponse& stored, const http::ResponseHead& response,
                           ExchangeTimes times, const StorePolicy& policy);

}  // namespace larder::cache
