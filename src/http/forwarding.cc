#include "http/forwarding.h"

#include <algorithm>

#include "http/characters.h"

namespace larder::http {

namespace {

bool lists(std::string_view list, std::string_view name) {
  std::string_view element;
  while (next_list_element(list, element)) {
    if (same_ignoring_case(element, name)) return true;
  }
  return false;
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && same_ignoring_case(text.substr(0, prefix.size()), prefix);
}

bool is_named_by_connection(const RequestHead& request, std::string_view name) {
  if (!request.has(FieldName::Connection)) return false;
  for (std::size_t i = 0; i < request.field_count; ++i) {
    const HeadField& field = request.fields[i];
    if (field.id == FieldName::Connection && lists(field.value, name)) return true;
  }
  return false;
}

bool is_conditional_or_range(FieldName name) {
  switch (name) {
    case FieldName::Range:
    case FieldName::IfRange:
    case FieldName::IfMatch:
    case FieldName::IfNoneMatch:
    case FieldName::IfModifiedSince:
    case FieldName::IfUnmodifiedSince:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_hop_by_hop(FieldName name) {
  switch (name) {
    case FieldName::Connection:
    case FieldName::KeepAlive:
    case FieldName::ProxyConnection:
    case FieldName::ProxyAuthenticate:
    case FieldName::ProxyAuthenticationInfo:
    case FieldName::ProxyAuthorization:
    case FieldName::Te:
    case FieldName::Trailer:
    case FieldName::TransferEncoding:
    case FieldName::Upgrade:
      return true;
    default:
      return false;
  }
}

bool may_send_to_origin(const RequestHead& request, const HeadField& field, Exchange exchange) {
  if (is_hop_by_hop(field.id)) return false;
  switch (field.id) {
    case FieldName::Host:
    case FieldName::ContentLength:
    case FieldName::Expect:
    case FieldName::Forwarded:
    case FieldName::Via:
    case FieldName::Dpop:
    case FieldName::MaxForwards:
      return false;
    default:
      break;
  }
  if (starts_with_ignoring_case(field.name, "x-forwarded-") ||
      starts_with_ignoring_case(field.name, "x-original-") ||
      starts_with_ignoring_case(field.name, "x-rewrite-") ||
      same_ignoring_case(field.name, "x-http-method-override") ||
      same_ignoring_case(field.name, "x-http-method") ||
      same_ignoring_case(field.name, "x-method-override") ||
      same_ignoring_case(field.name, "http2-settings") ||
      is_named_by_connection(request, field.name)) {
    return false;
  }
  if (exchange == Exchange::Pass) return true;
  if (is_conditional_or_range(field.id)) return false;
  if (exchange == Exchange::DeclaredFill) {
    return field.id != FieldName::Authorization && field.id != FieldName::Cookie &&
           !same_ignoring_case(field.name, "accept-encoding");
  }
  return field.id == FieldName::UserAgent || same_ignoring_case(field.name, "accept") ||
         same_ignoring_case(field.name, "accept-language");
}

bool asks_more_than_fill(const RequestHead& request, Exchange fill) {
  constexpr std::uint64_t kNames = bit(FieldName::Authorization) | bit(FieldName::Cookie) |
                                   bit(FieldName::IfMatch) | bit(FieldName::IfUnmodifiedSince);
  if ((request.present & kNames) == 0) return false;
  for (std::size_t i = 0; i < request.field_count; ++i) {
    const HeadField& field = request.fields[i];
    if ((bit(field.id) & kNames) == 0) continue;
    if (may_send_to_origin(request, field, Exchange::Pass) &&
        !may_send_to_origin(request, field, fill)) {
      return true;
    }
  }
  return false;
}

bool is_for_next_hop(const ResponseHead& response, std::string_view name) {
  return std::any_of(response.fields.begin(), response.fields.end(),
                     [&](const ResponseField& field) {
                       return field.id == FieldName::Connection && lists(field.value, name);
                     });
}

bool may_send_to_client(const ResponseHead& response, const ResponseField& field,
                        Appearance appearance) {
  if (is_hop_by_hop(field.id)) return false;
  switch (field.id) {
    case FieldName::ContentLength:
    case FieldName::AcceptRanges:
    case FieldName::Age:
    case FieldName::CacheStatus:
    case FieldName::Date:
      return false;
    case FieldName::ContentRange:
      if (response.status == 206 || response.status == 416) return false;
      break;
    case FieldName::SetCookie:
    case FieldName::StrictTransportSecurity:
    case FieldName::AltSvc:
    case FieldName::ClearSiteData:
    case FieldName::ServiceWorkerAllowed:
      if (appearance == Appearance::AsNode) return false;
      break;
    default:
      break;
  }
  return !is_for_next_hop(response, field.name);
}

std::string canonical_name(std::string_view name) {
  const FieldName known = find_field_name(name);
  if (known != FieldName::Other) return std::string(canonical_text(known));
  std::string text(name);
  const bool has_capitals =
      std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (has_capitals) return text;
  bool at_start = true;
  for (char& c : text) {
    if (at_start && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    at_start = c == '-';
  }
  return text;
}

}  // namespace larder::http
