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

RedirectDecision judge_redirect(const client::OriginFetch& from, http::ResponseHead& head,
                                bool https, const HostTable& hosts,
                                const std::vector<ProxyException>& no_proxy) {
  RedirectDecision decision;
  decision.hop.status = head.status;
  const auto pass_on = [&decision](std::string_view reason) {
    decision.hop.reason = reason;
    return std::move(decision);
  };
  const auto authority = http::parse_authority(from.host);
  const std::string location(head.field("Location"));
  if (from.method != "GET" && from.method != "HEAD")
    return pass_on("only GET and HEAD are followed");
  if (head.count(http::FieldName::Location) != 1) return pass_on("it has no Location, or several");
  std::optional<http::HttpAddress> to;
  if (authority) to = http::resolve_reference({from.https, *authority, from.target}, location);
  if (!to) return pass_on("its Location is no address of a web server");
  decision.hop.to = redirect_text(to->https, to->authority.text(), to->target);
  // A client that gets the redirect has not seen the hops before it.
  set_location(head, text_of(*to));
  const OriginSettings* origin = hosts.find(to->authority.host());
  if (origin == nullptr) return pass_on("no [[origin]] table and no profile lists the host");
  const std::uint16_t port = to->authority.port();
  if (port != 0 && port != (to->https ? 443 : 80)) return pass_on("the port is not the scheme's");
  client::OriginFetch next = from;
  next.host = to->authority.host();
  next.https = to->https;
  if (origin->url) {
    next.https = origin->url->https;
  } else if (origin->scheme != OriginScheme::Same) {
    next.https = origin->scheme == OriginScheme::Https;
  }
  // What the next host's own table says of plain HTTP is no promise of the host that was asked.
  if (https && !next.https) return pass_on("it leads from HTTPS to plain HTTP");
  next.target = to->target;
  if (next.host != from.host) {
    std::erase_if(next.fields, [](const auto& field) {
      return base::equals_ignoring_case(field.first, "Authorization") ||
             base::equals_ignoring_case(field.first, "Cookie");
    });
  }
  set_route(next, *origin, no_proxy);
  decision.hop.to = redirect_text(next.https, to->authority.text(), to->target);
  decision.hop.is_followed = true;
  decision.hop.reason = "the host is allowed";
  decision.next = std::move(next);
  return decision;
}

}  // namespace larder::node
