#include "cache/redirect_limits.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "cache/directives.h"
#include "http/characters.h"

namespace larder::cache {

using http::CacheControl;
using http::FieldName;
using std::chrono::seconds;

namespace {

// Permanent redirects may be used without a lifetime of their own (RFC 9110 section 15.4); for as
// long as a guess may say.
constexpr seconds kPermanent = StorePolicy{}.heuristic_limit;

// As if it was stored, with the defaults of an origin.
StoredResponse as_stored(const http::ResponseHead& head, base::WallTime now) {
  StoredResponse stored;
  stored.status = head.status;
  stored.fields = head.fields;
  set_dates(stored, head.fields, {now, now});
  set_freshness(stored, head.fields, {now, now}, {});
  return stored;
}

bool has_lifetime(const StoredResponse& stored) {
  return explicit_lifetime(stored.fields, read_directives(stored.fields), stored.date,
                           stored.response_time)
      .has_value();
}

seconds age_of(const StoredResponse& stored) {
  return std::chrono::floor<seconds>(stored.freshness.initial_age);
}

// The list without the directives of these names.
std::string without(std::string_view list, std::initializer_list<std::string_view> names) {
  std::string kept;
  std::string_view element;
  while (http::next_list_element(list, element)) {
    const std::string_view name = http::trim(element.substr(0, element.find('=')));
    const bool is_left_out = std::any_of(names.begin(), names.end(), [name](const auto other) {
      return http::same_ignoring_case(name, other);
    });
    if (is_left_out) continue;
    if (!kept.empty()) kept += ", ";
    kept += element;
  }
  return kept;
}

void append(std::string& list, std::string_view directive) {
  if (!list.empty()) list += ", ";
  list += directive;
}

void append(std::string& list, std::string_view name, seconds value) {
  append(list, std::string(name) + "=" + std::to_string(value.count()));
}

// All lines of the field as one list, taken out of the fields.
std::string take_list(ResponseFields& fields, FieldName name) {
  std::string list;
  for (const http::ResponseField& field : fields) {
    if (field.id == name) append(list, field.value);
  }
  std::erase_if(fields, [name](const http::ResponseField& field) { return field.id == name; });
  return list;
}

}  // namespace

void RedirectLimits::add(const http::ResponseHead& redirect, base::WallTime now) {
  const StoredResponse stored = as_stored(redirect, now);
  const CacheControl control = read_directives(stored.fields).control;
  const Freshness& freshness = stored.freshness;
  has_any_ = true;
  no_store_ |= control.malformed;
  is_private_ |= control.is_private;
  // no-store is about the redirect itself, which is asked for at each use then.
  no_cache_ |= freshness.always_revalidate || (control.no_store && !control.must_understand);
  must_revalidate_ |= freshness.must_revalidate;
  answers_authorization_ &= freshness.answers_authorization;
  const bool is_permanent = redirect.status == 301 || redirect.status == 308;
  const seconds lifetime = is_permanent && !has_lifetime(stored) ? kPermanent : freshness.lifetime;
  left_ = std::min(left_, std::max(seconds{0}, lifetime - age_of(stored)));
  stale_while_revalidate_ = std::min(stale_while_revalidate_, freshness.stale_while_revalidate);
  stale_if_error_ = std::min(stale_if_error_, freshness.stale_if_error);
  for (const http::ResponseField& field : redirect.fields) {
    if (field.id == FieldName::Vary) vary_.push_back(field.value);
  }
}

void RedirectLimits::narrow(http::ResponseHead& answer, bool authorized, base::WallTime now) const {
  if (!has_any_) return;
  const StoredResponse stored = as_stored(answer, now);
  // The age that the answer has already counts against its lifetime, not against the redirects'.
  const seconds limit = left_ == seconds{0} ? left_ : left_ + age_of(stored);
  // A 304 that sets no lifetime leaves the one that was narrowed when the answer was stored.
  const bool leaves_lifetime = answer.status == 304 && !has_lifetime(stored);
  const auto narrowed = [&](const std::string& list, const CacheControl& control) {
    const auto given = control.s_maxage ? control.s_maxage : control.max_age;
    const seconds own = given.value_or(stored.freshness.lifetime);
    std::string text = list;
    if (own > limit || (leaves_lifetime && limit == seconds{0})) {
      text = without(text, {"max-age", "s-maxage", "immutable"});
      append(text, "max-age", limit);
      if (control.s_maxage) append(text, "proxy-revalidate");
    }
    const auto shorten = [&](std::string_view name, std::optional<seconds> value, seconds most) {
      if (!value || *value <= most) return;
      text = without(text, {name});
      if (most > seconds{0}) append(text, name, most);
    };
    shorten("stale-while-revalidate", control.stale_while_revalidate, stale_while_revalidate_);
    shorten("stale-if-error", control.stale_if_error, stale_if_error_);
    if (!answers_authorization_) text = without(text, {"public"});
    if (no_store_) append(text = without(text, {"must-understand"}), "no-store");
    if (is_private_ || (authorized && !answers_authorization_)) append(text, "private");
    if (no_cache_) append(text, "no-cache");
    if (must_revalidate_ && !leaves_lifetime) append(text, "must-revalidate");
    return text;
  };
  const auto rewrite = [&](FieldName name, std::string_view canonical, const CacheControl& control,
                           const std::string& list) {
    if (std::string text = narrowed(list, control); !text.empty()) {
      answer.fields.push_back(
          {.name = std::string(canonical), .value = std::move(text), .id = name});
    }
  };
  const std::string targeted = take_list(answer.fields, FieldName::CdnCacheControl);
  if (const auto control = http::parse_targeted_cache_control(targeted)) {
    rewrite(FieldName::CdnCacheControl, "CDN-Cache-Control", *control, targeted);
  }
  const std::string list = take_list(answer.fields, FieldName::CacheControl);
  CacheControl control;
  control.add(list);
  rewrite(FieldName::CacheControl, "Cache-Control", control, list);
  for (const std::string& value : vary_) {
    answer.fields.push_back({.name = "Vary", .value = value, .id = FieldName::Vary});
  }
}

}  // namespace larder::cache
