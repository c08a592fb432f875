// decide_to_store: RFC 9111 section 3.

#include <algorithm>

#include "cache/cache_status.h"
#include "cache/directives.h"
#include "cache/variant.h"
#include "http/characters.h"
#include "http/forwarding.h"

namespace larder::cache {

using http::CacheControl;
using http::FieldName;
using std::chrono::seconds;

namespace {

// About one request, or changed on its way to clients (client contract): never shared.
bool is_never_stored(int status) {
  switch (status) {
    case 304:
    case 401:
    case 407:
    case 408:
    case 412:
    case 416:
    case 425:
    case 429:
      return true;
    default:
      return status < 200 || status > 599;
  }
}

// The final statuses of RFC 9110 section 15 that ask nothing further of a cache.
bool is_understood(int status) {
  switch (status) {
    case 200:
    case 201:
    case 202:
    case 203:
    case 204:
    case 300:
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
    case 400:
    case 403:
    case 404:
    case 405:
    case 406:
    case 410:
    case 414:
    case 451:
    case 500:
    case 501:
    case 502:
    case 503:
    case 504:
      return true;
    default:
      return is_heuristically_cacheable(status);
  }
}

bool is_ignored_vary(std::string_view name, const ResponseFields& fields,
                     const StorePolicy& policy) {
  // Without a Content-Encoding every client can use what was sent, and fills never ask for one.
  if (http::same_ignoring_case(name, "accept-encoding") &&
      count_fields(fields, FieldName::ContentEncoding) == 0) {
    return true;
  }
  return std::any_of(
      policy.ignored_vary.begin(), policy.ignored_vary.end(),
      [name](const auto& ignored) { return http::same_ignoring_case(ignored, name); });
}

std::optional<std::string> sent_value(const FillRequest& request, std::string_view name) {
  std::vector<std::string_view> values;
  for (const http::ResponseField& field : request.sent) {
    if (http::same_ignoring_case(field.name, name)) values.push_back(field.value);
  }
  return normalise_nominated(name, values);
}

// Whether the request had the field, although its fill does not send it.
bool was_withheld(const FillRequest& request, std::string_view name) {
  switch (http::find_field_name(name)) {
    case FieldName::Authorization:
      return request.has_authorization;
    case FieldName::Cookie:
      return request.has_cookie;
    default:
      return false;
  }
}

// The reason why not to store, else empty.
std::string_view set_vary(StoredResponse& stored, const FillRequest& request,
                          const StorePolicy& policy) {
  stored.vary.clear();
  for (const http::ResponseField& field : stored.fields) {
    if (field.id != FieldName::Vary) continue;
    std::string_view list = field.value;
    std::string_view element;
    while (http::next_list_element(list, element)) {
      if (element == "*") return "Vary: *";
      if (!http::is_token(element)) return "malformed Vary";
      if (is_ignored_vary(element, stored.fields, policy)) continue;
      if (was_withheld(request, element)) return "Vary names who asks";
      std::string name(element);
      std::transform(name.begin(), name.end(), name.begin(), http::lower);
      const bool is_repeated = std::any_of(stored.vary.begin(), stored.vary.end(),
                                           [&](const auto& other) { return other.name == name; });
      if (is_repeated) continue;
      if (stored.vary.size() == kMostNominatedFields) return "Vary names too many fields";
      auto value = sent_value(request, name);
      stored.vary.push_back({.name = std::move(name), .value = std::move(value)});
    }
  }
  return {};
}

std::string_view why_not_store_request(const FillRequest& request, const CacheControl& control) {
  if (request.method != http::Method::Get) return "method";
  if (request.has_body) return "request with a body";
  if (request.no_store) return "no-store of the request";
  if (request.has_authorization && !control.is_public && !control.must_revalidate &&
      !control.s_maxage) {
    return "request with Authorization";
  }
  return {};
}

std::string_view why_not_store_response(const http::ResponseHead& response,
                                        const CacheControl& control, bool has_lifetime,
                                        const StorePolicy& policy) {
  if (is_never_stored(response.status)) return "status";
  if (policy.key_is_stripped && response.status != 200 && response.status != 206) {
    return "status under a key without all parameters";
  }
  if (control.malformed) return "malformed Cache-Control";
  if (control.must_understand) {
    // It replaces no-store for those who know the status (RFC 9111 section 5.2.2.3).
    if (!is_understood(response.status)) return "must-understand of an unknown status";
  } else if (control.no_store) {
    return "no-store";
  }
  if (control.is_private) return "private";
  if (!has_lifetime && !control.is_public && !is_heuristically_cacheable(response.status)) {
    return "status without a lifetime";
  }
  const bool is_for_all = control.is_public || control.s_maxage.has_value();
  const bool cookies_are_shared = policy.shares_cookies && has_lifetime;
  if (response.count(FieldName::SetCookie) > 0 && !is_for_all && !cookies_are_shared &&
      !control.withholds("set-cookie")) {
    return "Set-Cookie";
  }
  if (response.status == 206 && !complete_length(response)) return "206 without a complete length";
  return {};
}

}  // namespace

ResponseFields kept_fields(const http::ResponseHead& response, const Directives& directives,
                           const StorePolicy& policy) {
  ResponseFields kept;
  const auto is_withheld = [&](std::string_view name) {
    return !directives.control.withheld_fields.empty() && directives.control.withholds(name);
  };
  for (const http::ResponseField& field : response.fields) {
    if (field.id == FieldName::SetCookie && !policy.shares_cookies) continue;
    if (!http::may_send_to_client(response, field, http::Appearance::AsOrigin)) continue;
    if (is_withheld(field.name)) continue;
    // A part is kept as one of the whole.
    if (response.status == 206 && http::is_of_one_message(field)) continue;
    kept.push_back(
        {.name = http::canonical_name(field.name), .value = field.value, .id = field.id});
  }
  std::string upstream = upstream_cache_status(response);
  if (!upstream.empty() && !is_withheld("Cache-Status")) {
    kept.push_back(
        {.name = "Cache-Status", .value = std::move(upstream), .id = FieldName::CacheStatus});
  }
  return kept;
}

FillRequest describe_fill(const http::RequestHead& request, http::Exchange exchange) {
  FillRequest fill;
  fill.method = request.method;
  fill.has_body = request.has_body();
  fill.has_authorization = request.has(FieldName::Authorization);
  fill.has_cookie = request.has(FieldName::Cookie);
  CacheControl control;
  for (std::size_t i = 0; i < request.field_count; ++i) {
    const http::HeadField& field = request.fields[i];
    if (field.id == FieldName::CacheControl) control.add(field.value);
    if (!http::may_send_to_origin(request, field, exchange)) continue;
    fill.sent.push_back(
        {.name = std::string(field.name), .value = std::string(field.value), .id = field.id});
  }
  fill.no_store = control.no_store;
  return fill;
}

std::optional<FillRequest> describe_post_as_get(const http::RequestHead& request,
                                                const http::ResponseHead& response,
                                                const http::HttpAddress& target,
                                                http::Exchange exchange) {
  if (request.method != http::Method::Post || response.status != 200 ||
      response.count(FieldName::ContentLocation) != 1 ||
      !explicit_lifetime(response.fields, read_directives(response.fields), {}, {})) {
    return std::nullopt;
  }
  if (http::resolve_same_origin(target, response.field(FieldName::ContentLocation)) !=
      target.target) {
    return std::nullopt;
  }
  FillRequest fill = describe_fill(request, exchange);
  fill.method = http::Method::Get;
  fill.has_body = false;
  return fill;
}

StoreDecision decide_to_store(std::string_view key, const FillRequest& request,
                              const http::ResponseHead& response, ExchangeTimes times,
                              const StorePolicy& policy) {
  StoreDecision decision;
  const Directives directives = read_directives(response.fields);
  decision.reason = why_not_store_request(request, directives.control);
  if (!decision.reason.empty()) return decision;
  StoredResponse& stored = decision.response;
  set_dates(stored, response.fields, times);
  const bool has_lifetime =
      explicit_lifetime(response.fields, directives, stored.date, times.response).has_value();
  decision.reason = why_not_store_response(response, directives.control, has_lifetime, policy);
  if (!decision.reason.empty()) return decision;

  stored.key = key;
  // Parts are kept as parts of the whole.
  stored.status = response.status == 206 ? 200 : response.status;
  stored.fields = kept_fields(response, directives, policy);
  decision.reason = set_vary(stored, request, policy);
  if (!decision.reason.empty()) return decision;
  set_freshness(stored, response.fields, times, policy);
  stored.length = complete_length(response);
  stored.generation = identify(response, policy.identity, times.response);
  const Freshness& freshness = stored.freshness;
  if (freshness.lifetime <= seconds{0}) {
    if (response.status >= 400 && !is_heuristically_cacheable(response.status)) {
      decision.reason = "an error that is not fresh";
      return decision;
    }
    if (validation_fields(stored).empty() && freshness.stale_if_error == seconds{0} &&
        freshness.stale_while_revalidate == seconds{0}) {
      decision.reason = "neither fresh nor verifiable";
      return decision;
    }
  }
  decision.store = true;
  return decision;
}

}  // namespace larder::cache
