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
#include "http/forwarding.h"
#include "http/reference.h"
#include "http/request_head.h"
#include "http/response_head.h"

namespace larder::cache {

// What must be remembered of the request that starts a fill, because the client's buffer does not
// outlive it. `sent` are the fields that go to the origin.
struct FillRequest {
  http::Method method = http::Method::Get;
  bool has_body = false;
  bool has_authorization = false;
  bool has_cookie = false;
  bool no_store = false;
  std::vector<http::ResponseField> sent{};
};
// With the fields of a shared fill of that kind: SharedFill or DeclaredFill.
FillRequest describe_fill(const http::RequestHead& request, http::Exchange fill);

// The answer to a POST that may be kept as the answer to a GET, when it names the target as its own
// place (RFC 9110 section 9.3.3): what decide_to_store is then told. Nothing otherwise.
std::optional<FillRequest> describe_post_as_get(const http::RequestHead& request,
                                                const http::ResponseHead& response,
                                                const http::HttpAddress& target,
                                                http::Exchange fill);

// When the fill's request was sent and its response head received.
struct ExchangeTimes {
  base::WallTime request;
  base::WallTime response;
};

// What an origin's settings say.
struct StorePolicy {
  bool key_is_stripped = false;                      // write_key left something out
  http::Exchange fill = http::Exchange::SharedFill;  // which fields fills send; never Pass
  // Set-Cookie is kept and given to everybody where freshness is explicit (RFC 9111 section 7.3).
  // Otherwise such an answer is kept only where `public` or `s-maxage` says so, without the field.
  bool shares_cookies = false;
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

// RFC 9111 section 3. With explicit freshness or `public` every final status is stored, apart from
// those that are about one request (401, 407, 412, 416) or that clients get as 503 (408, 425, 429);
// without, only those that RFC 9110 section 15.1 calls heuristically cacheable. A 206 is stored as
// a part of the representation.
StoreDecision decide_to_store(std::string_view key, const FillRequest& request,
                              const http::ResponseHead& response, ExchangeTimes times,
                              const StorePolicy& policy);

struct UseDecision {
  enum class Kind {
    Serve,
    ServeStaleWhileRevalidate,  // serve now, and revalidate in the background
    Revalidate,                 // ask the origin first, with the stored validators if any
    Miss,                       // fetch, share, maybe store
    Pass,                       // forward for this client alone; do not store
    Unsatisfied,                // only-if-cached: 504
  };
  Kind kind = Kind::Miss;
  std::string_view reason{};
  std::chrono::seconds age{0};        // of what was found, for the Age field
  std::chrono::seconds remaining{0};  // freshness left; negative when stale
  bool only_if_cached = false;        // the request allows no part of its answer to be fetched
  bool unconfirmed = false;           // Unsatisfied because the origin would have to confirm it
};

// `stored` is null when nothing was found under the key. `key` is compared with the stored one.
UseDecision decide_to_use(const StoredResponse* stored, std::string_view key,
                          const http::RequestHead& request, const StorePolicy& policy,
                          base::WallTime now);

// What the stored lifetime is made of, for people: "s-maxage", "Expires", "a tenth of its age", ...
std::string_view lifetime_source(const StoredResponse& stored, const StorePolicy& policy);

std::chrono::seconds current_age(const StoredResponse& stored, base::WallTime now);

// After an origin failed (no answer, or http::is_trouble) while a stored response was revalidated:
// by its stale-if-error, or within `grace` after it became stale (RFC 9111 section 4.2.4).
bool may_serve_on_error(const StoredResponse& stored, std::chrono::seconds grace,
                        base::WallTime now);

// Fields that make a request conditional on the stored validators: If-None-Match,
// If-Modified-Since.
std::vector<http::ResponseField> validation_fields(const StoredResponse& stored);

enum class Refreshed {
  Updated,  // `stored` has new fields and times: write it back
  NotThis,  // the answer is about another representation: fetch anew
  Drop,     // it may be used for this answer, but must no longer be stored
};
Refreshed update_after_304(StoredResponse& stored, const http::ResponseHead& response,
                           ExchangeTimes times, const StorePolicy& policy);

// Whether an answer that is not stored says that what was asked about must not be used any more: it
// is a whole one about the object (RFC 9111 section 4.3.3), not about what passes or a condition.
// Where the key leaves parameters out, the refusal of one signature says nothing of the object.
bool takes_away(int status, const StorePolicy& policy);

// A 200 to HEAD (RFC 9111 section 4.3.5). NotThis: what is stored is another representation and
// must not be used any more.
Refreshed update_after_head(StoredResponse& stored, const http::ResponseHead& response,
                            ExchangeTimes times, const StorePolicy& policy);

}  // namespace larder::cache
