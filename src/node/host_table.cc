#include "node/host_table.h"

#include <algorithm>

namespace larder::node {

namespace {

std::string_view canonical_of(const OriginSettings& origin, const std::string& host) {
  for (const HostAlias& alias : origin.aliases) {
    if (alias.pattern == host) return alias.canonical;
  }
  return {};
}

}  // namespace

HostTable::HostTable(const NodeSettings& settings) {
  for (const OriginSettings& origin : settings.origins) {
    for (const std::string& host : origin.hosts) add(host, {&origin, canonical_of(origin, host)});
  }
  for (const std::string& host : settings.reserved_hosts) add(host, {});
  for (const std::string& name : settings.connection_names) own_.emplace(name, true);
  for (const char* name : {"localhost", "127.0.0.1", "::1"}) own_.emplace(name, true);
  for (const auto* listeners :
       {&settings.http_listen, &settings.https_listen, &settings.content_listen}) {
    for (const base::ListenAddress& listener : *listeners) {
      own_.emplace(listener.address, true);
      own_ports_.push_back(listener.port);
    }
  }
}

bool HostTable::is_own(const http::Authority& authority) const {
  std::string_view host = authority.host();
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return own_.contains(host) && find(authority.host()) == nullptr;
}

void HostTable::add(const std::string& pattern, const Found& found) {
  if (pattern.starts_with("*.")) {
    suffixes_.emplace(pattern.substr(2), found);
  } else if (const auto authority = http::parse_authority(
                 pattern.find(':') == std::string::npos ? pattern : "[" + pattern + "]")) {
    exact_.emplace(authority->host(), found);
  }
}

bool HostTable::is_meant(const http::OriginChoice& choice, const OriginSettings& origin) const {
  const std::uint16_t port = choice.authority.port();
  if (port == 0) return true;
  if (origin.url && port == origin.url->port) return true;
  if (choice.target_is_https) return port == (*choice.target_is_https ? 443 : 80);
  if (port == 80 || port == 443) return true;
  return choice.form == http::OriginForm::HostField &&
         std::find(own_ports_.begin(), own_ports_.end(), port) != own_ports_.end();
}

HostTable::Found HostTable::look_up(std::string_view host) const {
  if (const auto found = exact_.find(host); found != exact_.end()) return found->second;
  for (std::size_t dot = host.find('.'); dot != std::string_view::npos;
       dot = host.find('.', dot + 1)) {
    const auto found = suffixes_.find(host.substr(dot + 1));
    if (found != suffixes_.end()) return found->second;
  }
  return {};
}

}  // namespace larder::node
