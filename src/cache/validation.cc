// Validation, and what it tells of the stored response: RFC 9111 section 4.3.

#include <algorithm>

#include "cache/directives.h"
#include "http/characters.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/forwarding.h"
#include "http/retry_after.h"

namespace larder::cache {

using http::CacheControl;
using http::FieldName;

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

// Tied to the stored bytes or to the choice among variants: never taken from another response (RFC
// 9111 section 3.2).
bool describes_bytes(const http::ResponseField& field) {
  switch (field.id) {
    case FieldName::ContentEncoding:
    case FieldName::ETag:
    case FieldName::Vary:
      return true;
    default:
      return http::is_of_one_message(field) || http::same_ignoring_case(field.name, "repr-digest");
  }
}

// Replaces the stored fields by those of the newer response, and works out the freshness anew.
Refreshed renew(StoredResponse& stored, const http::ResponseHead& response, ExchangeTimes times,
                const StorePolicy& policy) {
  const Directives received = read_directives(response.fields);
  set_dates(stored, response.fields, times);
  // A cookie is for all under the same terms as in an answer that is stored anew.
  const bool shares_cookies =
      received.control.is_public || received.control.s_maxage ||
      explicit_lifetime(response.fields, received, stored.date, times.response);
  ResponseFields renewed = kept_fields(response, received, policy);
  std::erase_if(renewed, [&](const http::ResponseField& field) {
    return describes_bytes(field) || (field.id == FieldName::SetCookie && !shares_cookies);
  });
  std::erase_if(stored.fields, [&](const http::ResponseField& old) {
    return std::any_of(renewed.begin(), renewed.end(), [&](const http::ResponseField& field) {
      return http::same_ignoring_case(field.name, old.name);
    });
  });
  for (http::ResponseField& field : renewed) stored.fields.push_back(std::move(field));
  // What was for all until now need not be any more (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
  const ResponseFields merged = stored.fields;  // which the directives point into
  const CacheControl control = read_directives(merged).control;
  std::erase_if(stored.fields,
                [&](const http::ResponseField& field) { return control.withholds(field.name); });
  set_freshness(stored, response.fields, times, policy);
  const bool refused = (control.no_store && !control.must_understand) || control.is_private ||
                       control.malformed || stored.fields.size() > http::kMostFields;
  return refused ? Refreshed::Drop : Refreshed::Updated;
}

}  // namespace

Refreshed update_after_304(StoredResponse& stored, const http::ResponseHead& response,
                           ExchangeTimes times, const StorePolicy& policy) {
  if (response.status != 304 || !selects(stored, response, policy)) return Refreshed::NotThis;
  return renew(stored, response, times, policy);
}

bool takes_away(int status, const StorePolicy& policy) {
  if (http::is_trouble(status)) return false;
  if (policy.key_is_stripped && status >= 300) return false;
  switch (status) {
    // Of the request as it was asked, which one client can make wrong for all; not of the object.
    case 206:
    case 304:
    case 400:
    case 402:
    case 405:
    case 406:
    case 407:
    case 409:
    case 411:
    case 412:
    case 413:
    case 414:
    case 415:
    case 416:
    case 417:
    case 421:
    case 422:
    case 426:
    case 428:
    case 431:
      return false;
    default:
      return true;
  }
}

Refreshed update_after_head(StoredResponse& stored, const http::ResponseHead& response,
                            ExchangeTimes times, const StorePolicy& policy) {
  const auto differs = [&](FieldName name) {
    const std::string_view received = response.field(name);
    return !received.empty() && received != stored.field(name);
  };
  if (response.status != 200 || stored.status != 200 || differs(FieldName::ETag) ||
      differs(FieldName::LastModified) ||
      (response.content_length && response.content_length != stored.length)) {
    return Refreshed::NotThis;
  }
  return renew(stored, response, times, policy);
}

}  // namespace larder::cache
