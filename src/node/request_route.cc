#include "node/request_route.h"

#include "http/target.h"
#include "node/origin_pool_settings.h"
#include "node/origin_route.h"

namespace larder::node {

namespace {

// In lower case; empty when there is none.
std::string host_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  const std::string_view rest = url.substr(scheme + 3);
  const auto authority = http::parse_authority(rest.substr(0, rest.find_first_of("/?")));
  return authority ? std::string(authority->host()) : std::string();
}

}  // namespace

base::Status set_request_proxy(client::HttpRequest& request, const std::string& url,
                               const NodeSettings& settings) {
  if (!settings.proxy || bypasses_proxy(host_of(url), settings.no_proxy)) return {};
  const auto pool = origin_pool_settings(settings);
  if (!pool) return std::unexpected(pool.error());
  request.proxy = pool->proxy->url;
  request.proxy_user = pool->proxy->user;
  request.proxy_password = pool->proxy->password;
  return {};
}

}  // namespace larder::node
