#include "node/origin_pool_settings.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/file.h"

namespace larder::node {

namespace {

using base::ErrorCode;
using base::fail;

constexpr std::uint64_t kCredentialsLimit = 1024;

base::Status read_credentials(const std::string& path, client::OriginProxy& proxy) {
  const auto wrong = [&](ErrorCode code, const char* what) {
    return fail(code, "[node] proxy_credentials: " + path + what);
  };
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IWGRP | S_IRWXO)) != 0)
    return wrong(ErrorCode::PermissionDenied, ": others may read or change it; chmod 0600 it");
  const auto text = base::read_file(path, kCredentialsLimit);
  if (!text) return base::with_context("[node] proxy_credentials", text.error());
  std::string_view line = *text;
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::size_t colon = line.find(':');
  const bool plain = std::none_of(line.begin(), line.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
  });
  if (colon == std::string_view::npos || colon == 0 || !plain)
    return wrong(ErrorCode::InvalidArgument, ": must be one line, user:password");
  proxy.user = line.substr(0, colon);
  proxy.password = line.substr(colon + 1);
  return {};
}

}  // namespace

base::Result<client::OriginPoolSettings> origin_pool_settings(const NodeSettings& settings) {
  client::OriginPoolSettings pool;
  for (const auto* listeners :
       {&settings.http_listen, &settings.https_listen, &settings.content_listen}) {
    for (const base::ListenAddress& listener : *listeners) pool.own_ports.push_back(listener.port);
  }
  if (settings.admin_listen) pool.own_ports.push_back(settings.admin_listen->port);
  pool.connections_per_host = static_cast<std::size_t>(settings.max_connections_per_origin);
  pool.extra_ca_file = settings.origin_ca_file;
  if (settings.proxy) {
    const bool ipv6 = settings.proxy->host.find(':') != std::string::npos;
    client::OriginProxy& proxy = pool.proxy.emplace();
    proxy.url = (settings.proxy->https ? "https://" : "http://") +
                (ipv6 ? "[" + settings.proxy->host + "]" : settings.proxy->host) + ":" +
                std::to_string(settings.proxy->port);
    if (!settings.proxy_credentials.empty()) {
      LARDER_TRY(read_credentials(settings.proxy_credentials, proxy));
    }
  }
  return pool;
}

}  // namespace larder::node
