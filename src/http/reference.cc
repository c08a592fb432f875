#include "http/reference.h"

#include <algorithm>

#include "http/characters.h"

namespace larder::http {

namespace {

constexpr std::size_t kLongestReference = 8192;

bool is_target_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f' && c != '#' && c != '"' && c != '<' && c != '>' && c != '\\';
  });
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char letter = lower(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// RFC 3986 section 5.2.4.
std::string remove_dot_segments(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    // A segment with the slash before it.
    const std::size_t end = std::min(path.find('/', 1), path.size());
    const std::string_view segment = path.substr(0, end);
    const bool last = end == path.size();
    if (segment == "/..") {
      const std::size_t parent = out.rfind('/');
      out.erase(parent == std::string::npos ? 0 : parent);
      if (last) out += '/';
    } else if (segment == "/.") {
      if (last) out += '/';
    } else {
      out += segment;
    }
    path.remove_prefix(end);
  }
  return out.empty() ? "/" : out;
}

std::size_t end_of_scheme(std::string_view reference) {
  const std::size_t colon = reference.find(':');
  const std::size_t other = reference.find_first_of("/?#");
  return colon != std::string_view::npos && colon < other ? colon : std::string_view::npos;
}

}  // namespace

std::optional<HttpAddress> resolve_reference(const HttpAddress& base, std::string_view reference) {
  if (reference.empty() || reference.size() > kLongestReference) return std::nullopt;
  reference = reference.substr(0, reference.find('#'));
  if (!is_target_text(reference)) return std::nullopt;
  HttpAddress out = base;
  if (const std::size_t colon = end_of_scheme(reference); colon != std::string_view::npos) {
    const std::string_view scheme = reference.substr(0, colon);
    out.https = same_ignoring_case(scheme, "https");
    if (!out.https && !same_ignoring_case(scheme, "http")) return std::nullopt;
    reference.remove_prefix(colon + 1);
    if (!reference.starts_with("//")) return std::nullopt;
  }
  if (reference.starts_with("//")) {
    reference.remove_prefix(2);
    const std::size_t end = std::min(reference.find_first_of("/?"), reference.size());
    const auto authority = parse_authority(reference.substr(0, end));
    if (!authority) return std::nullopt;
    out.authority = *authority;
    reference.remove_prefix(end);
    out.target = reference.starts_with('/') ? "" : "/";
    out.target += reference;
    return out;
  }
  const std::string_view path = std::string_view(base.target).substr(0, base.target.find('?'));
  if (reference.empty()) return out;
  if (reference.starts_with('?')) {
    out.target = std::string(path).append(reference);
    return out;
  }
  const std::size_t question = std::min(reference.find('?'), reference.size());
  std::string whole(reference.substr(0, question));
  if (!whole.starts_with('/')) whole.insert(0, path.substr(0, path.rfind('/') + 1));
  out.target = remove_dot_segments(whole).append(reference.substr(question));
  return out;
}

std::optional<std::string> resolve_same_origin(const HttpAddress& base,
                                               std::string_view reference) {
  if (reference.empty()) return base.target;
  auto found = resolve_reference(base, reference);
  const std::uint16_t default_port = base.https ? 443 : 80;
  const auto port = [&](const HttpAddress& address) {
    return address.authority.port() == 0 ? default_port : address.authority.port();
  };
  if (!found || found->https != base.https || found->authority.host() != base.authority.host() ||
      port(*found) != port(base)) {
    return std::nullopt;
  }
  return std::move(found->target);
}

std::string with_cache_host_origin(std::string_view location, std::string_view host) {
  if (location.empty() || location.starts_with("//") ||
      end_of_scheme(location) != std::string_view::npos) {
    return std::string(location);
  }
  const std::size_t fragment = std::min(location.find('#'), location.size());
  std::string out(location.substr(0, fragment));
  out += out.find('?') == std::string::npos ? '?' : '&';
  out.append("cacheHostOrigin=").append(host).append(location.substr(fragment));
  return out;
}

std::string_view normal_path(std::string_view path, std::string& scratch) {
  std::size_t at = path.find('%');
  if (at == std::string_view::npos) return path;
  scratch.clear();
  std::size_t done = 0;
  for (; at < path.size(); at = path.find('%', at)) {
    const int high = at + 2 < path.size() ? hex_digit(path[at + 1]) : -1;
    const int low = at + 2 < path.size() ? hex_digit(path[at + 2]) : -1;
    // Undoing its neighbours could make an escape of a lone '%'.
    if (high < 0 || low < 0) return path;
    scratch += path.substr(done, at - done);
    const int value = high * 16 + low;
    const char c = static_cast<char>(value);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '~';
    if (plain) {
      scratch += c;
    } else {
      constexpr std::string_view kDigits = "0123456789ABCDEF";
      scratch += '%';
      scratch += kDigits[static_cast<std::size_t>(high)];
      scratch += kDigits[static_cast<std::size_t>(low)];
    }
    at += 3;
    done = at;
  }
  scratch += path.substr(done);
  return scratch == path ? path : std::string_view(scratch);
}

}  // namespace larder::http
