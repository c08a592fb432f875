// Settings files: any text is read or refused with mistakes that name the file, within the limits.
#include "node/settings.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "node/setting_texts.h"
#include "require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const auto described = node::describe_node_settings();
  static const auto absent = node::load_node_settings("/nowhere/larder.toml");
  require(!described.empty() && !absent);
  if (text.find("profile_dir") != std::string_view::npos) return 0;  // names a folder to read
  const auto settings = node::parse_node_settings(text, "/etc/larder/larder.toml");
  if (!settings) {
    require(settings.error().message.find("larder.toml") != std::string::npos);
    return 0;
  }
  require(!settings->name.empty() && settings->state_dir.starts_with('/'));
  require(!settings->drives.empty() && settings->max_connections >= 16);
  for (const node::ProxyException& exception : settings->no_proxy) {
    const auto again = node::parse_proxy_exception(node::to_text(exception));
    require(again && *again == exception);
  }
  for (const node::OriginSettings& origin : settings->origins) {
    if (origin.url) {
      const auto again = node::parse_origin_url(node::to_text(*origin.url));
      require(again && node::to_text(*again) == node::to_text(*origin.url));
    }
    for (const node::HostAlias& alias : origin.aliases) {
      const auto again = node::parse_host_alias(node::to_text(alias));
      require(again && *again == alias);
    }
    require(!origin.hosts.empty() && !origin.allows_method("CONNECT"));
    (void)origin.allows_method("POST");
  }
  return 0;
}
