#include "node/setting_texts.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/encoding.h"
#include "http/target.h"

namespace larder::node {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// Labels of RFC 1123 with the underscore that real hosts use; `text` is in lower case.
bool is_dns_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  std::size_t label = 0;
  for (std::size_t index = 0; index < text.size(); ++index) {
    const char c = text[index];
    if (c == '.') {
      if (label == 0 || text[index - 1] == '-') return false;
      label = 0;
    } else {
      if (!is_host_character(c) || (label == 0 && c == '-') || label == 63) return false;
      ++label;
    }
  }
  return label > 0 && text.back() != '-';
}

}  // namespace

Result<std::string> parse_name(std::string_view text) {
  if (text.size() <= 63 && is_dns_name(text) && text.find('.') == std::string_view::npos)
    return std::string(text);
  return fail(
      ErrorCode::InvalidArgument,
      base::settings_detail::quoted(text) + " is no name: use a to z, 0 to 9, - and _, at most 63");
}

Result<std::string> parse_connection_name(std::string_view text) {
  std::string name = base::to_lower(text);
  if (base::is_address(name) || is_dns_name(name)) return name;
  return fail(ErrorCode::InvalidArgument, "is neither a DNS name nor an address");
}

Result<std::string> parse_host_pattern(std::string_view text) {
  std::string host = base::to_lower(text);
  std::string_view name = host;
  const bool wildcard = name.starts_with("*.");
  if (wildcard) name.remove_prefix(2);
  if (wildcard && name.find('.') == std::string_view::npos)
    return fail(ErrorCode::InvalidArgument, "is too wide: a suffix has two labels or more");
  // What a request could name: a last label of digits makes resolvers see an address.
  const bool ipv6 = name.find(':') != std::string_view::npos;
  const auto authority =
      http::parse_authority(ipv6 ? "[" + std::string(name) + "]" : std::string(name));
  const bool named = authority && !authority->is_address() && is_dns_name(name);
  if (named || (!wildcard && authority && base::is_address(name))) return host;
  return fail(ErrorCode::InvalidArgument,
              "is no host: write \"packages.example.org\" or \"*.example.org\"");
}

Result<OriginUrl> parse_origin_url(std::string_view text) {
  const auto wrong = [] {
    return fail(ErrorCode::InvalidArgument,
                "must be http:// or https://, a host and perhaps a port, with nothing behind: "
                "\"http://10.0.0.5:8080\"");
  };
  const std::string url = base::to_lower(text);
  std::string_view rest = url;
  OriginUrl out;
  if (rest.starts_with("https://")) {
    out.https = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return wrong();
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  out.port = out.https ? 443 : 80;
  const std::size_t colon = rest.rfind(':');
  const std::size_t bracket = rest.rfind(']');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const std::string_view port = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    if (error != std::errc{} || end != port.data() + port.size() || out.port == 0) return wrong();
    rest = rest.substr(0, colon);
  }
  const bool bracketed = rest.starts_with('[') && rest.ends_with(']');
  if (bracketed) rest = rest.substr(1, rest.size() - 2);
  const bool ipv6 = base::is_address(rest) && rest.find(':') != std::string_view::npos;
  if (ipv6 != bracketed || (!base::is_address(rest) && !is_dns_name(rest))) return wrong();
  out.host = rest;
  return out;
}

std::string to_text(const OriginUrl& url) {
  const bool is_ipv6 = url.host.contains(':');
  return (url.https ? "https://" : "http://") + (is_ipv6 ? "[" + url.host + "]" : url.host) + ":" +
         std::to_string(url.port);
}

Result<std::string> parse_method(std::string_view text) {
  if (text == "*") return std::string(text);
  const bool good =
      !text.empty() && text.size() <= 32 && text != "CONNECT" && text != "TRACE" &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (good) return std::string(text);
  return fail(ErrorCode::InvalidArgument,
              "is no method that can be forwarded: write \"GET\", \"HEAD\", ... or \"*\"");
}

Result<HostAlias> parse_host_alias(std::string_view text) {
  const auto trimmed = [](std::string_view part) {
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    return part;
  };
  const std::size_t equals = text.find('=');
  if (equals != std::string_view::npos) {
    auto pattern = parse_host_pattern(trimmed(text.substr(0, equals)));
    auto canonical = parse_host_pattern(trimmed(text.substr(equals + 1)));
    if (pattern && canonical && !canonical->starts_with('*') && *pattern != *canonical)
      return HostAlias{std::move(*pattern), std::move(*canonical)};
  }
  return fail(ErrorCode::InvalidArgument,
              "is no alias: write \"cdn2.example.org = cdn1.example.org\"");
}

std::string to_text(const HostAlias& alias) {
  return alias.pattern + " = " + alias.canonical;
}

Result<ProxyException> parse_proxy_exception(std::string_view text) {
  if (const auto range = base::parse_address_range(text)) return ProxyException{"", *range};
  if (auto host = parse_host_pattern(text)) return ProxyException{std::move(*host), std::nullopt};
  return fail(ErrorCode::InvalidArgument,
              "is neither a host, nor \"*.suffix\", nor a range of addresses like 10.0.0.0/8");
}

std::string to_text(const ProxyException& exception) {
  return exception.range ? base::to_text(*exception.range) : exception.host;
}

Result<std::string> parse_congestion_control(std::string_view text) {
  const bool good = text.size() < 16 && std::all_of(text.begin(), text.end(), is_host_character);
  if (good) return std::string(text);
  return fail(ErrorCode::InvalidArgument, "is no name of a congestion control, like \"bbr\"");
}

}  // namespace larder::node
