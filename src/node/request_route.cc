#include "node/request_route.h"

#include "http/target.h"
#include "node/origin_pool_settings.h"
#include "node/origin_route.h"

namespace larder::node {

namespace {

using base::ErrorCode;

// Of the whole URL, without user information, which no such URL has.
std::optional<http::Authority> authority_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  const std::string_view rest = url.substr(scheme + 3);
  return http::parse_authority(rest.substr(0, rest.find_first_of("/?#")));
}

std::string without_brackets(std::string_view host) {
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return std::string(host);
}

base::Error advised(base::Error error) {
  if (error.code == ErrorCode::PermissionDenied) {
    error.message += "; list it in request_allow_addresses of [node] if that is meant";
  }
  return error;
}

}  // namespace

UrlSource source_of(const std::string& url, const std::string& configured) {
  const auto place = [](const std::string& of) -> std::string {
    const auto authority = authority_of(of);
    if (!authority || !of.starts_with("https://")) return {};
    return std::string(authority->host()) + ":" +
           std::to_string(authority->port() == 0 ? 443 : authority->port());
  };
  const std::string meant = place(configured);
  return !meant.empty() && place(url) == meant ? UrlSource::Settings : UrlSource::Elsewhere;
}

base::Status set_request_route(client::HttpRequest& request, const std::string& url,
                               UrlSource source, const NodeSettings& settings) {
  const auto authority = authority_of(url);
  if (!authority) {
    return base::fail(ErrorCode::InvalidArgument,
                      url.substr(0, url.find_first_of("?#")) + ": its host cannot be read");
  }
  const std::string host = without_brackets(authority->host());
  client::AddressRules rules{.private_too = true, .allowed = settings.request_allow_addresses};
  if (authority->is_address() && source == UrlSource::Settings) {
    if (const auto range = base::parse_address_range(host)) rules.allowed.push_back(*range);
  }
  // Here as well as at the connect, because a proxy would be asked for anything.
  if (authority->is_address()) {
    if (const auto good = client::judge_address(host, authority->port(), rules); !good) {
      return base::with_context(url.substr(0, url.find_first_of("?#")), advised(good.error()));
    }
  }
  request.addresses = std::move(rules);
  if (!settings.proxy || bypasses_proxy(authority->host(), settings.no_proxy)) return {};
  const auto pool = origin_pool_settings(settings);
  if (!pool) return std::unexpected(pool.error());
  request.proxy = pool->proxy->url;
  request.proxy_user = pool->proxy->user;
  request.proxy_password = pool->proxy->password;
  return {};
}

base::Result<client::HttpResponse> with_advice(base::Result<client::HttpResponse> answer) {
  if (!answer) return std::unexpected(advised(std::move(answer).error()));
  return answer;
}

}  // namespace larder::node
