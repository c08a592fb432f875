#include "node/host_table.h"

namespace larder::node {

HostTable::HostTable(const NodeSettings& settings) {
  for (const OriginSettings& origin : settings.origins) {
    for (const std::string& host : origin.hosts) {
      if (host.starts_with("*.")) {
        suffixes_.emplace(host.substr(2), &origin);
      } else {
        exact_.emplace(host, &origin);
      }
    }
  }
  for (const std::string& name : settings.connection_names) own_.emplace(name, true);
  for (const char* name : {"localhost", "127.0.0.1", "::1"}) own_.emplace(name, true);
  for (const auto* listeners :
       {&settings.http_listen, &settings.https_listen, &settings.content_listen}) {
    for (const base::ListenAddress& listener : *listeners) own_.emplace(listener.address, true);
  }
}

bool HostTable::is_own(const http::Authority& authority) const {
  std::string_view host = authority.host();
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return own_.contains(host) && find(host) == nullptr;
}

const OriginSettings* HostTable::find(std::string_view host) const {
  if (const auto found = exact_.find(host); found != exact_.end()) return found->second;
  for (std::size_t dot = host.find('.'); dot != std::string_view::npos;
       dot = host.find('.', dot + 1)) {
    const auto found = suffixes_.find(host.substr(dot + 1));
    if (found != suffixes_.end()) return found->second;
  }
  return nullptr;
}

}  // namespace larder::node
