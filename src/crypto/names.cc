#include "crypto/names.h"

#include <arpa/inet.h>

#include <array>

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kNameLimit = 253;
constexpr std::size_t kLabelLimit = 63;

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > kLabelLimit) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  for (const char c : label) {
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!allowed) return false;
  }
  return true;
}

bool is_dns_name(std::string_view name, bool wildcard_allowed) {
  if (name.empty() || name.size() > kNameLimit) return false;
  if (wildcard_allowed && name.starts_with("*.")) name.remove_prefix(2);
  for (;;) {
    const std::size_t dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

// Wrong text goes into messages, but never at length.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text.substr(0, 100)) result += c >= ' ' && c <= '~' ? c : '?';
  return result + "\"";
}

}  // namespace

Status check_dns_name(std::string_view name, bool wildcard_allowed) {
  if (is_dns_name(name, wildcard_allowed)) {
    if (!parse_address(name)) return {};
    // Clients look for it among the addresses only.
    return fail(ErrorCode::InvalidArgument, quoted(name) + " is an IP address, not a DNS name");
  }
  return fail(ErrorCode::InvalidArgument, quoted(name) + " is not a DNS name");
}

Result<std::vector<std::uint8_t>> parse_address(std::string_view text) {
  const std::string copy(text.substr(0, 64));
  std::array<std::uint8_t, 16> bytes{};
  if (copy.size() == text.size() && ::inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1) {
    return std::vector<std::uint8_t>(bytes.begin(), bytes.begin() + 4);
  }
  if (copy.size() == text.size() && ::inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1) {
    return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
  }
  return fail(ErrorCode::InvalidArgument, quoted(text) + " is not an IP address");
}

std::string format_address(const std::uint8_t* bytes, std::size_t size) {
  if (size != 4 && size != 16) return {};
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text);
  return text;
}

}  // namespace larder::crypto
