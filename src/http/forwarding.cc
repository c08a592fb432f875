#include "http/forwarding.h"

#include <algorithm>
#include <vector>

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

bool says_who_asks(FieldName name) {
  return name == FieldName::Authorization || name == FieldName::Cookie;
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
    return !says_who_asks(field.id) && !same_ignoring_case(field.name, "accept-encoding");
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

namespace {

constexpr std::string_view kNamePrefix = "larder-";
constexpr std::size_t kFingerprint = 16;
constexpr std::size_t kLongestProtocol = 16;

bool is_node_name(std::string_view name) {
  return name.size() == kNamePrefix.size() + kFingerprint && name.starts_with(kNamePrefix) &&
         name.find_first_not_of("0123456789abcdef", kNamePrefix.size()) == std::string_view::npos;
}

// "1.1 larder-0123456789abcdef" or "1.1 proxy".
std::string via_member(std::string_view received) {
  const std::size_t end = std::min(received.find_first_of(" \t"), received.size());
  std::string_view protocol = received.substr(0, end);
  if (protocol.size() > kLongestProtocol || !std::ranges::all_of(protocol, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               c == '.' || c == '/';
      })) {
    protocol = "1.1";  // a comment's second half, for instance
  }
  std::string_view name = trim(received.substr(end));
  name = name.substr(0, name.find_first_of(" \t("));
  return std::string(protocol) + " " + std::string(is_node_name(name) ? name : "proxy");
}

}  // namespace

std::string via_name(std::string_view fingerprint) {
  return std::string(kNamePrefix) + std::string(fingerprint.substr(0, kFingerprint));
}

bool came_through(const RequestHead& request, std::string_view name) {
  if (!request.has(FieldName::Via)) return false;
  for (std::size_t i = 0; i < request.field_count; ++i) {
    const HeadField& field = request.fields[i];
    if (field.id == FieldName::Via && field.value.find(name) != std::string_view::npos) return true;
  }
  return false;
}

bool came_through_node(const RequestHead& request) {
  return came_through(request, kNamePrefix);
}

std::string via_to_origin(const RequestHead& request, std::string_view own) {
  std::vector<std::string> members;
  if (request.has(FieldName::Via)) {
    for (std::size_t i = 0; i < request.field_count; ++i) {
      if (request.fields[i].id != FieldName::Via) continue;
      std::string_view list = request.fields[i].value;
      std::string_view member;
      while (next_list_element(list, member)) members.push_back(via_member(member));
    }
  }
  const std::size_t first = members.size() - std::min(members.size(), kMostViaMembers);
  std::string all;
  for (std::size_t i = first; i < members.size(); ++i) all += members[i] + ", ";
  return all + "1.1 " + std::string(own);
}

bool pass_sends_as_fill(const RequestHead& request, Exchange fill) {
  return std::none_of(request.fields.begin(), request.fields.begin() + request.field_count,
                      [&](const HeadField& field) {
                        return may_send_to_origin(request, field, Exchange::Pass) &&
                               !may_send_to_origin(request, field, fill);
                      });
}

bool is_for_next_hop(const ResponseHead& response, std::string_view name) {
  return std::any_of(response.fields.begin(), response.fields.end(),
                     [&](const ResponseField& field) {
                       return field.id == FieldName::Connection && lists(field.value, name);
                     });
}

bool is_of_one_message(const ResponseField& field) {
  return field.id == FieldName::ContentRange || same_ignoring_case(field.name, "content-digest") ||
         same_ignoring_case(field.name, "content-md5");
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
  return !same_ignoring_case(field.name, "x-request-id") && !is_for_next_hop(response, field.name);
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
