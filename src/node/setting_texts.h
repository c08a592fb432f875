// The texts that a node's settings are made of: each function judges one and gives its normal form.
// The error's message says what would be right. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "node/settings.h"

namespace larder::node {

base::Result<std::string> parse_name(std::string_view text);             // one label, lower case
base::Result<std::string> parse_connection_name(std::string_view text);  // DNS name or address
base::Result<std::string> parse_host_pattern(std::string_view text);     // host or "*.suffix"
base::Result<OriginUrl> parse_origin_url(std::string_view text);         // scheme://host[:port]
std::string to_text(const OriginUrl& url);
base::Result<std::string> parse_method(std::string_view text);
base::Result<HostAlias> parse_host_alias(std::string_view text);  // "alias = host"
std::string to_text(const HostAlias& alias);
base::Result<ProxyException> parse_proxy_exception(std::string_view text);  // host pattern or CIDR
std::string to_text(const ProxyException& exception);
base::Result<std::string> parse_congestion_control(std::string_view text);

}  // namespace larder::node
