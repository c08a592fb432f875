#include "cache/freshness.h"

#include <algorithm>

#include "http/cache_control.h"
#include "http/characters.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/forwarding.h"

namespace larder::cache {

namespace {

using http::CacheControl;
using http::FieldName;
using std::chrono::microseconds;
using std::chrono::seconds;

using Fields = std::vector<http::ResponseField>;

std::size_t count(const Fields& fields, FieldName name) {
  return static_cast<std::size_t>(std::count_if(
      fields.begin(), fields.end(), [name](const auto& field) { return field.id == name; }));
}

std::string_view first(const Fields& fields, FieldName name) {
  for (const http::ResponseField& field : fields) {
    if (field.id == name) return field.value;
  }
  return {};
}

// The directives that count for this cache: CDN-Cache-Control replaces Cache-Control and Expires
// when it is there and can be read (RFC 9213 section 2.2).
struct Directives {
  CacheControl control;
  bool targeted = false;
};

Directives read_directives(const Fields& fields) {
  Directives result;
  CacheControl targeted;
  bool has_targeted = false;
  for (const http::ResponseField& field : fields) {
    if (field.id == FieldName::CacheControl) result.control.add(field.value);
    if (field.id == FieldName::CdnCacheControl) {
      targeted.add(field.value);
      has_targeted = has_targeted || !field.value.empty();
    }
  }
  if (has_targeted && !targeted.malformed) return {.control = targeted, .targeted = true};
  return result;
}

bool is_heuristically_cacheable(int status) {
  switch (status) {
    case 200:
    case 206:
    case 301:
    case 308:
    case 404:
    case 410:
      return true;
    default:
      return false;
  }
}

// Explicit lifetime (RFC 9111 section 4.2.1); nothing when the response sets none.
std::optional<seconds> explicit_lifetime(const Fields& fields, const Directives& directives,
                                         base::WallTime date, base::WallTime now) {
  const CacheControl& control = directives.control;
  if (control.s_maxage) return control.s_maxage;
  if (control.max_age) return control.max_age;
  if (directives.targeted || count(fields, FieldName::Expires) == 0) return std::nullopt;
  // Two of them, or one that is no date ("0"), mean: already expired.
  const auto expires = count(fields, FieldName::Expires) == 1
                           ? http::parse_date(first(fields, FieldName::Expires), now)
                           : std::nullopt;
  if (!expires || *expires <= date) return seconds{0};
  return std::min(std::chrono::floor<seconds>(*expires - date), http::kLongestDelta);
}

microseconds initial_age(const Fields& received, base::WallTime date, ExchangeTimes times) {
  // A clock that stepped back must not make anything younger than nothing.
  const microseconds apparent = std::max(microseconds{0}, times.response - date);
  const microseconds delay = std::max(microseconds{0}, times.response - times.request);
  const seconds age = http::parse_age(first(received, FieldName::Age)).value_or(seconds{0});
  return std::min(std::max<microseconds>(apparent, age + delay),
                  microseconds{2 * http::kLongestDelta});
}

// Works out `stored.freshness` from its fields, dates and times.
void set_freshness(StoredResponse& stored, const Fields& received, ExchangeTimes times,
                   const StorePolicy& policy) {
  const Directives directives = read_directives(stored.fields);
  const CacheControl& control = directives.control;
  Freshness freshness;
  freshness.initial_age = initial_age(received, stored.date, times);
  const auto lifetime = explicit_lifetime(stored.fields, directives, stored.date, times.response);
  if (policy.lifetime && stored.status == 200) {
    freshness.lifetime = std::clamp(*policy.lifetime, seconds{0}, http::kLongestDelta);
  } else if (lifetime) {
    freshness.lifetime = *lifetime;
  } else if (is_heuristically_cacheable(stored.status)) {
    const auto modified = http::parse_date(stored.last_modified(), times.response);
    if (modified && *modified < stored.date) {
      freshness.lifetime = std::min(std::chrono::floor<seconds>(stored.date - *modified) / 10,
                                    policy.heuristic_limit);
      freshness.is_heuristic = true;
    }
  }
  freshness.must_revalidate =
      control.must_revalidate || control.proxy_revalidate || control.s_maxage.has_value();
  freshness.always_revalidate = control.no_cache;
  freshness.answers_authorization =
      control.is_public || control.must_revalidate || control.s_maxage.has_value();
  freshness.stale_while_revalidate = control.stale_while_revalidate.value_or(seconds{0});
  freshness.stale_if_error = control.stale_if_error.value_or(seconds{0});
  stored.freshness = freshness;
}

void set_dates(StoredResponse& stored, const Fields& received, ExchangeTimes times) {
  const auto date = count(received, FieldName::Date) == 1
                        ? http::parse_date(first(received, FieldName::Date), times.response)
                        : std::nullopt;
  stored.request_time = times.request;
  stored.response_time = times.response;
  stored.date = date.value_or(times.response);
  stored.has_origin_date = date.has_value();
}

// A field of a shared fill as one text; nothing when it is not sent.
std::optional<std::string> sent_value(const Fields& sent, std::string_view name) {
  std::optional<std::string> value;
  for (const http::ResponseField& field : sent) {
    if (!http::same_ignoring_case(field.name, name)) continue;
    value = value ? *value + ", " + field.value : field.value;
  }
  return value;
}

// Without a Content-Encoding every client can use what was sent, and fills never ask for one.
bool is_ignored_vary(std::string_view name, const Fields& fields, const StorePolicy& policy) {
  if (http::same_ignoring_case(name, "accept-encoding") &&
      count(fields, FieldName::ContentEncoding) == 0) {
    return true;
  }
  return std::any_of(
      policy.ignored_vary.begin(), policy.ignored_vary.end(),
      [name](const auto& ignored) { return http::same_ignoring_case(ignored, name); });
}

// The reason why not to store, else empty.
std::string_view set_vary(StoredResponse& stored, const FillRequest& request,
                          const StorePolicy& policy) {
  stored.vary.clear();
  for (const http::ResponseField& field : stored.fields) {
    if (field.id != FieldName::Vary) continue;
    std::string_view list = field.value;
    std::string_view name;
    while (http::next_list_element(list, name)) {
      if (name == "*") return "Vary: *";
      if (!http::is_token(name)) return "malformed Vary";
      if (is_ignored_vary(name, stored.fields, policy)) continue;
      if (stored.vary.size() == kMostNominatedFields) return "Vary names too many fields";
      NominatedField nominated{.name = {}, .value = sent_value(request.sent, name)};
      std::transform(name.begin(), name.end(), std::back_inserter(nominated.name), http::lower);
      stored.vary.push_back(std::move(nominated));
    }
  }
  return {};
}

std::string_view why_not_store_request(const FillRequest& request) {
  if (request.method != http::Method::Get) return "method";
  if (request.has_body) return "request with a body";
  if (request.has_authorization) return "request with Authorization";
  if (request.no_store) return "no-store of the request";
  return {};
}

std::string_view why_not_store_response(const http::ResponseHead& response,
                                        const CacheControl& control, const StorePolicy& policy) {
  if (!is_heuristically_cacheable(response.status)) return "status";
  if (policy.key_is_stripped && response.status != 200 && response.status != 206) {
    return "status under a key without all parameters";
  }
  if (control.malformed) return "malformed Cache-Control";
  if (control.no_store) return "no-store";
  if (control.is_private) return "private";
  // A cookie may be about the one client that asked.
  if (response.count(FieldName::SetCookie) > 0 && !control.is_public && !control.s_maxage) {
    return "Set-Cookie";
  }
  if (response.status == 206 && !complete_length(response)) return "206 without a complete length";
  return {};
}

void keep_fields(StoredResponse& stored, const http::ResponseHead& response) {
  for (const http::ResponseField& field : response.fields) {
    if (field.id == FieldName::SetCookie ||
        !http::may_send_to_client(response, field, http::Appearance::AsOrigin)) {
      continue;
    }
    stored.fields.push_back(
        {.name = http::canonical_name(field.name), .value = field.value, .id = field.id});
  }
}

}  // namespace

FillRequest describe_fill(const http::RequestHead& request) {
  FillRequest fill;
  fill.method = request.method;
  fill.has_body = request.has_body();
  fill.has_authorization = request.has(FieldName::Authorization);
  CacheControl control;
  for (std::size_t i = 0; i < request.field_count; ++i) {
    const http::HeadField& field = request.fields[i];
    if (field.id == FieldName::CacheControl) control.add(field.value);
    if (!http::may_send_to_origin(request, field, http::Exchange::SharedFill)) continue;
    fill.sent.push_back(
        {.name = std::string(field.name), .value = std::string(field.value), .id = field.id});
  }
  fill.no_store = control.no_store;
  return fill;
}

StoreDecision decide_to_store(std::string_view key, const FillRequest& request,
                              const http::ResponseHead& response, ExchangeTimes times,
                              const StorePolicy& policy) {
  StoreDecision decision;
  decision.reason = why_not_store_request(request);
  if (!decision.reason.empty()) return decision;
  const Directives directives = read_directives(response.fields);
  decision.reason = why_not_store_response(response, directives.control, policy);
  if (!decision.reason.empty()) return decision;

  StoredResponse& stored = decision.response;
  stored.key = key;
  // Parts are kept as parts of the whole.
  stored.status = response.status == 206 ? 200 : response.status;
  keep_fields(stored, response);
  decision.reason = set_vary(stored, request, policy);
  if (!decision.reason.empty()) return decision;
  set_dates(stored, response.fields, times);
  set_freshness(stored, response.fields, times, policy);
  stored.length = complete_length(response);
  stored.generation = identify(response, policy.identity, times.response);
  if (stored.freshness.lifetime <= seconds{0} && validation_fields(stored).empty()) {
    decision.reason = "neither fresh nor verifiable";
    return decision;
  }
  decision.store = true;
  return decision;
}

bool matches_vary(const StoredResponse& stored, const http::RequestHead& request) {
  for (const NominatedField& nominated : stored.vary) {
    std::optional<std::string> value;
    for (std::size_t i = 0; i < request.field_count; ++i) {
      const http::HeadField& field = request.fields[i];
      if (!http::same_ignoring_case(field.name, nominated.name) ||
          !http::may_send_to_origin(request, field, http::Exchange::SharedFill)) {
        continue;
      }
      value = value ? *value + ", " + std::string(field.value) : std::string(field.value);
    }
    if (value != nominated.value) return false;
  }
  return true;
}

seconds current_age(const StoredResponse& stored, base::WallTime now) {
  const microseconds resident = std::max(microseconds{0}, now - stored.response_time);
  return std::chrono::floor<seconds>(stored.freshness.initial_age + resident);
}

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
                         base::WallTime now) {
  if (stored == nullptr) return {.kind = Kind::Miss, .reason = "not stored"};
  if (stored->key != key) return {.kind = Kind::Miss, .reason = "another key"};
  if (!matches_vary(*stored, request)) return {.kind = Kind::Miss, .reason = "vary"};
  UseDecision decision;
  decision.age = current_age(*stored, now);
  decision.remaining = stored->freshness.lifetime - decision.age;
  decide_by_age(decision, stored->freshness, demands);
  if (decision.kind == Kind::Revalidate && validation_fields(*stored).empty()) {
    decision.kind = Kind::Miss;
  }
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
  UseDecision decision = decide_about(stored, key, request, demands, now);
  const bool serves =
      decision.kind == Kind::Serve || decision.kind == Kind::ServeStaleWhileRevalidate;
  const bool authorized = request.has(FieldName::Authorization);
  if (serves && (!authorized || stored->freshness.answers_authorization)) return decision;
  if (demands.control.only_if_cached) {
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
  if (stored.freshness.must_revalidate || stored.freshness.always_revalidate) return false;
  const seconds staleness = current_age(stored, now) - stored.freshness.lifetime;
  return staleness <= std::max(stored.freshness.stale_if_error, grace);
}

std::vector<http::ResponseField> validation_fields(const StoredResponse& stored) {
  std::vector<http::ResponseField> fields;
  if (http::parse_entity_tag(stored.etag())) {
    fields.push_back({.name = "If-None-Match",
                      .value = std::string(stored.etag()),
                      .id = FieldName::IfNoneMatch});
  }
  if (http::parse_date(stored.last_modified(), stored.response_time)) {
    fields.push_back({.name = "If-Modified-Since",
                      .value = std::string(stored.last_modified()),
                      .id = FieldName::IfModifiedSince});
  }
  return fields;
}

namespace {

// RFC 9111 section 4.3.4: whether the 304 is about the stored response.
bool selects(const StoredResponse& stored, const http::ResponseHead& response,
             const StorePolicy& policy) {
  const auto ours = http::parse_entity_tag(stored.etag());
  const auto theirs = http::parse_entity_tag(response.field(FieldName::ETag));
  if (theirs && policy.identity == IdentityRule::Standard) {
    if (!ours) return false;
    return theirs->weak || ours->weak ? http::same_weakly(*ours, *theirs)
                                      : http::same_strongly(*ours, *theirs);
  }
  const std::string_view modified = response.field(FieldName::LastModified);
  return modified.empty() || modified == stored.last_modified();
}

// Describes the stored bytes rather than the response: a 304 cannot change it (RFC 9111 section
// 3.2).
bool describes_bytes(FieldName name) {
  switch (name) {
    case FieldName::ContentEncoding:
    case FieldName::ContentType:
    case FieldName::ContentLocation:
    case FieldName::ETag:
    case FieldName::LastModified:
    case FieldName::Vary:
      return true;
    default:
      return false;
  }
}

}  // namespace

Refreshed update_after_304(StoredResponse& stored, const http::ResponseHead& response,
                           ExchangeTimes times, const StorePolicy& policy) {
  if (response.status != 304 || !selects(stored, response, policy)) return Refreshed::NotThis;
  Fields renewed;
  for (const http::ResponseField& field : response.fields) {
    if (field.id == FieldName::SetCookie || describes_bytes(field.id) ||
        !http::may_send_to_client(response, field, http::Appearance::AsOrigin)) {
      continue;
    }
    renewed.push_back(
        {.name = http::canonical_name(field.name), .value = field.value, .id = field.id});
  }
  std::erase_if(stored.fields, [&](const http::ResponseField& old) {
    return std::any_of(renewed.begin(), renewed.end(), [&](const http::ResponseField& field) {
      return http::same_ignoring_case(field.name, old.name);
    });
  });
  for (http::ResponseField& field : renewed) stored.fields.push_back(std::move(field));
  set_dates(stored, response.fields, times);
  set_freshness(stored, response.fields, times, policy);
  const CacheControl control = read_directives(stored.fields).control;
  const bool refused = control.no_store || control.is_private || control.malformed ||
                       stored.fields.size() > http::kMostFields;
  return refused ? Refreshed::Drop : Refreshed::Updated;
}

}  // namespace larder::cache
