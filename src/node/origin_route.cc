#include "node/origin_route.h"

#include <algorithm>

#include "base/encoding.h"
#include "http/reference.h"

namespace larder::node {

namespace {

std::string_view without_brackets(std::string_view host) {
  return host.starts_with('[') ? host.substr(1, host.size() - 2) : host;
}

bool names(const ProxyException& exception, std::string_view host) {
  if (exception.range) return exception.range->contains(without_brackets(host));
  if (!exception.host.starts_with("*.")) return exception.host == host;
  const std::string_view suffix = std::string_view(exception.host).substr(1);
  return host.size() > suffix.size() && host.ends_with(suffix);
}

std::string text_of(const http::HttpAddress& address) {
  return (address.https ? "https://" : "http://") + address.authority.text() + address.target;
}

void set_location(http::ResponseHead& head, std::string text) {
  for (http::ResponseField& field : head.fields) {
    if (base::equals_ignoring_case(field.name, "Location")) field.value = std::move(text);
  }
}

}  // namespace

bool bypasses_proxy(std::string_view host, const std::vector<ProxyException>& no_proxy) {
  return std::any_of(no_proxy.begin(), no_proxy.end(),
                     [&](const ProxyException& exception) { return names(exception, host); });
}

bool goes_direct(std::string_view host, const OriginSettings& origin,
                 const std::vector<ProxyException>& no_proxy) {
  return bypasses_proxy(host, no_proxy) ||
         (origin.url && bypasses_proxy(origin.url->host, no_proxy));
}

void set_route(client::OriginFetch& fetch, const OriginSettings& origin,
               const std::vector<ProxyException>& no_proxy) {
  fetch.addresses.allowed = origin.allow_addresses;
  fetch.ca_file = origin.ca_file;
  fetch.connect_to.reset();
  if (origin.url) fetch.connect_to = {origin.url->host, origin.url->port};
  fetch.direct = goes_direct(fetch.host, origin, no_proxy);
}

base::Result<std::optional<client::OriginFetch>> follow_redirect(
    const client::OriginFetch& hop, http::ResponseHead& head, bool https, const HostTable& hosts,
    const std::vector<ProxyException>& no_proxy) {
  const auto authority = http::parse_authority(hop.host);
  const std::string location(head.field("Location"));
  if (!authority || head.count(http::FieldName::Location) != 1 ||
      (hop.method != "GET" && hop.method != "HEAD"))
    return std::nullopt;
  const auto to = http::resolve_reference({hop.https, *authority, hop.target}, location);
  if (!to) return std::nullopt;
  // A client that gets the redirect has not seen the hops before it.
  set_location(head, text_of(*to));
  const OriginSettings* origin = hosts.find(to->authority.host());
  const std::uint16_t port = to->authority.port();
  if (origin == nullptr || (port != 0 && port != (to->https ? 443 : 80))) return std::nullopt;
  client::OriginFetch next = hop;
  next.host = to->authority.host();
  next.https = to->https;
  if (origin->url) {
    next.https = origin->url->https;
  } else if (origin->scheme != OriginScheme::Same) {
    next.https = origin->scheme == OriginScheme::Https;
  }
  // What the next host's own table says of plain HTTP is no promise of the host that was asked.
  if (https && !next.https) return std::nullopt;
  next.target = to->target;
  if (next.host != hop.host) {
    std::erase_if(next.fields, [](const auto& field) {
      return base::equals_ignoring_case(field.first, "Authorization") ||
             base::equals_ignoring_case(field.first, "Cookie");
    });
  }
  set_route(next, *origin, no_proxy);
  return next;
}

}  // namespace larder::node
