#include "cache/freshness.h"

#include <algorithm>

#include "cache/directives.h"
#include "http/characters.h"
#include "http/date.h"
#include "http/forwarding.h"

namespace larder::cache {

using http::CacheControl;
using http::FieldName;
using std::chrono::microseconds;
using std::chrono::seconds;

std::size_t count_fields(const ResponseFields& fields, FieldName name) {
  return static_cast<std::size_t>(std::count_if(
      fields.begin(), fields.end(), [name](const auto& field) { return field.id == name; }));
}

std::string_view first_field(const ResponseFields& fields, FieldName name) {
  for (const http::ResponseField& field : fields) {
    if (field.id == name) return field.value;
  }
  return {};
}

Directives read_directives(const ResponseFields& fields) {
  Directives result;
  std::string targeted;
  for (const http::ResponseField& field : fields) {
    if (field.id == FieldName::CacheControl) result.control.add(field.value);
    if (field.id == FieldName::CdnCacheControl) {
      if (!targeted.empty()) targeted += ", ";
      targeted += field.value;
    }
  }
  if (auto control = http::parse_targeted_cache_control(targeted)) {
    return {.control = std::move(*control), .targeted = true};
  }
  return result;
}

bool is_heuristically_cacheable(int status) {
  switch (status) {
    case 200:
    case 203:
    case 204:
    case 206:
    case 300:
    case 301:
    case 308:
    case 404:
    case 405:
    case 410:
    case 414:
    case 501:
      return true;
    default:
      return false;
  }
}

std::optional<ExplicitLifetime> explicit_lifetime(const ResponseFields& fields,
                                                  const Directives& directives, base::WallTime date,
                                                  base::WallTime now) {
  const CacheControl& control = directives.control;
  const bool targeted = directives.targeted;
  if (control.s_maxage) {
    return ExplicitLifetime{*control.s_maxage,
                            targeted ? "s-maxage of CDN-Cache-Control" : "s-maxage"};
  }
  if (control.max_age) {
    return ExplicitLifetime{*control.max_age,
                            targeted ? "max-age of CDN-Cache-Control" : "max-age"};
  }
  if (targeted || count_fields(fields, FieldName::Expires) == 0) return std::nullopt;
  // Two of them, or one that is no date ("0"), mean: already expired.
  const auto expires = count_fields(fields, FieldName::Expires) == 1
                           ? http::parse_date(first_field(fields, FieldName::Expires), now)
                           : std::nullopt;
  if (!expires) return ExplicitLifetime{seconds{0}, "an Expires that is no date"};
  if (*expires <= date) return ExplicitLifetime{seconds{0}, "Expires"};
  return ExplicitLifetime{
      std::min(std::chrono::floor<seconds>(*expires - date), http::kLongestDelta), "Expires"};
}

namespace {

microseconds initial_age(const ResponseFields& received, base::WallTime date, ExchangeTimes times) {
  // A clock that stepped back must not make anything younger than nothing.
  const microseconds apparent = std::max(microseconds{0}, times.response - date);
  const microseconds delay = std::max(microseconds{0}, times.response - times.request);
  const seconds age = http::parse_age(first_field(received, FieldName::Age)).value_or(seconds{0});
  return std::min(std::max<microseconds>(apparent, age + delay),
                  microseconds{2 * http::kLongestDelta});
}

// RFC 9111 section 4.2.2. Pragma was never defined for responses, but whoever sends it there means
// that nothing is to be guessed.
std::optional<seconds> heuristic_lifetime(const StoredResponse& stored, const CacheControl& control,
                                          const StorePolicy& policy) {
  if (!is_heuristically_cacheable(stored.status) && !control.is_public) return std::nullopt;
  if (first_field(stored.fields, FieldName::CacheControl).empty() &&
      http::same_ignoring_case(first_field(stored.fields, FieldName::Pragma), "no-cache")) {
    return std::nullopt;
  }
  const auto modified = http::parse_date(stored.last_modified(), stored.response_time);
  if (!modified || *modified >= stored.date) return std::nullopt;
  return std::min(std::chrono::floor<seconds>(stored.date - *modified) / 10,
                  policy.heuristic_limit);
}

}  // namespace

void set_dates(StoredResponse& stored, const ResponseFields& received, ExchangeTimes times) {
  const auto date = count_fields(received, FieldName::Date) == 1
                        ? http::parse_date(first_field(received, FieldName::Date), times.response)
                        : std::nullopt;
  stored.request_time = times.request;
  stored.response_time = times.response;
  stored.date = date.value_or(times.response);
  stored.has_origin_date = date.has_value();
}

void set_freshness(StoredResponse& stored, const ResponseFields& received, ExchangeTimes times,
                   const StorePolicy& policy) {
  const Directives directives = read_directives(stored.fields);
  const CacheControl& control = directives.control;
  Freshness freshness;
  freshness.initial_age = initial_age(received, stored.date, times);
  const auto lifetime = explicit_lifetime(stored.fields, directives, stored.date, times.response);
  if (policy.lifetime && stored.status == 200) {
    freshness.lifetime = std::clamp(*policy.lifetime, seconds{0}, http::kLongestDelta);
  } else if (lifetime) {
    freshness.lifetime = lifetime->lifetime;
  } else if (const auto guessed = heuristic_lifetime(stored, control, policy)) {
    freshness.lifetime = *guessed;
    freshness.is_heuristic = true;
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

std::string_view lifetime_source(const StoredResponse& stored, const StorePolicy& policy) {
  if (policy.lifetime && stored.status == 200) return "the origin's setting";
  if (const auto lifetime = explicit_lifetime(stored.fields, read_directives(stored.fields),
                                              stored.date, stored.response_time)) {
    return lifetime->source;
  }
  return stored.freshness.is_heuristic ? "a tenth of its age when it came" : "nothing";
}

seconds current_age(const StoredResponse& stored, base::WallTime now) {
  const microseconds resident = std::max(microseconds{0}, now - stored.response_time);
  return std::chrono::floor<seconds>(stored.freshness.initial_age + resident);
}

}  // namespace larder::cache
