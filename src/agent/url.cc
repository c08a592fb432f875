#include "agent/url.h"

#include <algorithm>

#include "base/encoding.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kUrlLimit = 8000;
constexpr std::size_t kNameLimit = 200;

struct Authority {
  std::string host;
  std::string port;
};

std::optional<Authority> parse_authority(std::string_view text) {
  std::size_t end = text.find(':');
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    end = close + 1 < text.size() ? close + 1 : std::string_view::npos;
  }
  Authority authority;
  authority.host = base::to_lower(text.substr(0, end));
  if (end != std::string_view::npos) {
    if (text[end] != ':') return std::nullopt;
    authority.port = text.substr(end + 1);
    if (authority.port.empty() || authority.port.size() > 5 ||
        authority.port.find_first_not_of("0123456789") != std::string::npos) {
      return std::nullopt;
    }
  }
  const bool right = !authority.host.empty() &&
                     authority.host.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyz0123456789.-_[]:") == std::string::npos;
  if (!right) return std::nullopt;
  return authority;
}

}  // namespace

std::string Url::text() const {
  return scheme + "://" + host + (port.empty() ? "" : ":" + port) + target;
}

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [] {
    return fail(ErrorCode::InvalidArgument,
                "not a URL like http://host/path or https://host/path (without a user name)");
  };
  const bool printable = std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
  if (text.size() > kUrlLimit || !printable) return wrong();
  text = text.substr(0, text.find('#'));
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) return wrong();
  Url url;
  url.scheme = base::to_lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https") return wrong();
  const auto rest = text.substr(colon + 3);
  const auto slash = std::min(rest.find_first_of("/?"), rest.size());
  const auto authority = parse_authority(rest.substr(0, slash));
  if (!authority) return wrong();
  url.host = authority->host;
  url.port = authority->port;
  url.target = rest.substr(slash);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

Result<Url> through_cache(const Url& origin, std::string_view cache_host) {
  const auto authority = parse_authority(cache_host);
  if (!authority) {
    return fail(ErrorCode::InvalidArgument,
                "the cache host must be like \"host\" or \"host:port\"");
  }
  Url url = origin;
  url.host = authority->host;
  if (!authority->port.empty()) url.port = authority->port;
  const bool has_query = url.target.find('?') != std::string::npos;
  url.target += (has_query ? "&" : "?") + ("cacheHostOrigin=" + origin.host);
  return url;
}

Result<Url> follow(const Url& base, std::string_view location) {
  Url next = base;
  if (location.find("://") != std::string_view::npos) {
    auto parsed = parse_url(location);
    if (!parsed) return std::unexpected(parsed.error());
    next = std::move(*parsed);
  } else if (location.starts_with("//")) {
    auto parsed = parse_url(base.scheme + ":" + std::string(location));
    if (!parsed) return std::unexpected(parsed.error());
    next = std::move(*parsed);
  } else {
    const auto path = std::string_view(base.target).substr(0, base.target.find('?'));
    const auto folder = path.substr(0, path.rfind('/') + 1);
    const auto target = location.starts_with('/') ? std::string(location)
                                                  : std::string(folder) + std::string(location);
    next.target.clear();
    auto parsed = parse_url(next.text() + target);
    if (!parsed || location.empty()) {
      return fail(ErrorCode::InvalidArgument, "the answer redirects to nowhere");
    }
    next = std::move(*parsed);
  }
  if (base.scheme == "https" && next.scheme == "http") {
    return fail(ErrorCode::InvalidArgument, "the answer redirects from https to http: refused");
  }
  return next;
}

std::optional<std::string> file_name_of(const Url& url) {
  const auto path = std::string_view(url.target).substr(0, url.target.find('?'));
  const auto name = path.substr(path.rfind('/') + 1);
  if (name.empty() || name.size() > kNameLimit || name.starts_with('.')) return std::nullopt;
  return std::string(name);
}

}  // namespace larder::agent
