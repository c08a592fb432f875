// decide_to_use: RFC 9111 section 4.

#include "cache/freshness.h"
#include "cache/variant.h"
#include "http/cache_control.h"
#include "http/characters.h"

namespace larder::cache {

using http::CacheControl;
using http::FieldName;
using std::chrono::seconds;

namespace {

struct Demands {
  CacheControl control;
  bool pragma_no_cache = false;
};

Demands read_demands(const http::RequestHead& request) {
  Demands demands;
  constexpr std::uint64_t kNames =
      http::bit(FieldName::CacheControl) | http::bit(FieldName::Pragma);
  if ((request.present & kNames) == 0) return demands;
  for (std::size_t i = 0; i < request.field_count; ++i) {
    const http::HeadField& field = request.fields[i];
    if (field.id == FieldName::CacheControl) demands.control.add(field.value);
  }
  // Pragma counts only where Cache-Control is absent (RFC 9111 section 5.4).
  demands.pragma_no_cache = !request.has(FieldName::CacheControl) &&
                            http::same_ignoring_case(request.field(FieldName::Pragma), "no-cache");
  return demands;
}

using Kind = UseDecision::Kind;

// Decides about a stored response that is about the request; age and remaining are set already.
void decide_by_age(UseDecision& decision, const Freshness& freshness, const Demands& demands) {
  const CacheControl& control = demands.control;
  const auto is = [&](Kind kind, std::string_view reason) {
    decision.kind = kind;
    decision.reason = reason;
  };
  if (freshness.always_revalidate) return is(Kind::Revalidate, "no-cache");
  if (control.no_cache || demands.pragma_no_cache) {
    return is(Kind::Revalidate, "no-cache of the request");
  }
  if (control.max_age && decision.age > *control.max_age) {
    return is(Kind::Revalidate, "max-age of the request");
  }
  if (control.min_fresh && decision.remaining < *control.min_fresh) {
    return is(Kind::Revalidate, "min-fresh of the request");
  }
  if (decision.remaining > seconds{0}) return is(Kind::Serve, "fresh");
  if (freshness.must_revalidate) return is(Kind::Revalidate, "stale, must-revalidate");
  const seconds staleness = -decision.remaining;
  if (control.max_stale && staleness <= *control.max_stale) {
    return is(Kind::Serve, "stale, max-stale of the request");
  }
  if (staleness < freshness.stale_while_revalidate) {
    return is(Kind::ServeStaleWhileRevalidate, "stale, stale-while-revalidate");
  }
  is(Kind::Revalidate, "stale");
}

UseDecision decide_about(const StoredResponse* stored, std::string_view key,
                         const http::RequestHead& request, const Demands& demands,
                         http::Exchange fill, base::WallTime now) {
  if (stored == nullptr) return {.kind = Kind::Miss, .reason = "not stored"};
  if (stored->key != key) return {.kind = Kind::Miss, .reason = "another key"};
  if (varies_by_who_asks(*stored, request)) {
    return {.kind = Kind::Pass, .reason = "vary by who asks"};
  }
  if (!matches_vary(*stored, request, fill)) return {.kind = Kind::Miss, .reason = "vary"};
  UseDecision decision;
  decision.age = current_age(*stored, now);
  decision.remaining = stored->freshness.lifetime - decision.age;
  decide_by_age(decision, stored->freshness, demands);
  return decision;
}

}  // namespace

UseDecision decide_to_use(const StoredResponse* stored, std::string_view key,
                          const http::RequestHead& request, const StorePolicy& policy,
                          base::WallTime now) {
  if (request.method != http::Method::Get && request.method != http::Method::Head) {
    return {.kind = Kind::Pass, .reason = "method"};
  }
  if (request.has_body()) return {.kind = Kind::Pass, .reason = "request with a body"};
  if (policy.key_is_stripped && stored != nullptr && stored->status != 200) stored = nullptr;
  const Demands demands = read_demands(request);
  UseDecision decision = decide_about(stored, key, request, demands, policy.fill, now);
  decision.only_if_cached = demands.control.only_if_cached;
  const bool serves =
      decision.kind == Kind::Serve || decision.kind == Kind::ServeStaleWhileRevalidate;
  const bool authorized = request.has(FieldName::Authorization);
  if (serves && (!authorized || stored->freshness.answers_authorization)) return decision;
  if (demands.control.only_if_cached) {
    decision.unconfirmed = decision.kind == Kind::Revalidate;
    decision.kind = Kind::Unsatisfied;
    decision.reason = "only-if-cached";
  } else if (authorized) {
    decision.kind = Kind::Pass;
    decision.reason = "Authorization";
  } else if (demands.control.no_store) {
    decision.kind = Kind::Pass;
    decision.reason = "no-store of the request";
  }
  return decision;
}

bool may_serve_on_error(const StoredResponse& stored, seconds grace, base::WallTime now) {
  // A kept error is no better than the one that just came.
  if (stored.status >= 400) return false;
  if (stored.freshness.must_revalidate || stored.freshness.always_revalidate) return false;
  const seconds staleness = current_age(stored, now) - stored.freshness.lifetime;
  return staleness <= std::max(stored.freshness.stale_if_error, grace);
}

}  // namespace larder::cache
