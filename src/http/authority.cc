#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "http/characters.h"
#include "http/target.h"

namespace larder::http {

namespace {

bool is_name(std::string_view host) {
  if (host.empty()) return false;
  std::size_t start = 0;
  std::string_view label;
  while (start <= host.size()) {
    const std::size_t end = std::min(host.find('.', start), host.size());
    label = host.substr(start, end - start);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') {
      return false;
    }
    start = end + 1;
  }
  // A last label that reads as a number makes resolvers see an address.
  return !all_of_class(label, kDigit) && !label.starts_with("0x");
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty()) return 0;
  if (text.size() > 5 || !all_of_class(text, kDigit)) return std::nullopt;
  unsigned port = 0;
  for (const char c : text) port = port * 10 + static_cast<unsigned>(c - '0');
  if (port == 0 || port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

// Both in network form and back: one spelling per address. `out` has 64 bytes.
bool canonical_address(int family, std::string_view text, char* out) {
  std::array<char, INET6_ADDRSTRLEN + 1> terminated{};
  if (text.size() >= terminated.size()) return false;
  std::copy(text.begin(), text.end(), terminated.begin());
  in6_addr bytes{};
  return inet_pton(family, terminated.data(), &bytes) == 1 &&
         inet_ntop(family, &bytes, out, 64) != nullptr;
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  std::array<char, 64> address{};
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':') return std::nullopt;
    if (!canonical_address(AF_INET6, text.substr(1, end - 1), address.data())) return std::nullopt;
    const std::size_t length = std::strlen(address.data());
    authority.host_[0] = '[';
    std::copy_n(address.begin(), length, authority.host_.begin() + 1);
    authority.host_[length + 1] = ']';
    authority.host_length_ = static_cast<std::uint8_t>(length + 2);
    authority.kind_ = Authority::Kind::Ipv6;
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    port = text.substr(colon);
    std::string_view host = text.substr(0, colon);
    if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
    if (host.size() > Authority::kLongest || !all_of_class(host, kHostname)) return std::nullopt;
    std::transform(host.begin(), host.end(), authority.host_.begin(), lower);
    authority.host_length_ = static_cast<std::uint8_t>(host.size());
    if (!is_name(authority.host())) {
      if (!canonical_address(AF_INET, host, address.data())) return std::nullopt;
      authority.kind_ = Authority::Kind::Ipv4;
    }
  }
  const auto number = parse_port(port.empty() ? port : port.substr(1));
  if (!number) return std::nullopt;
  authority.port_ = *number;
  return authority;
}

std::string Authority::text() const {
  std::string text(host());
  if (port_ != 0) text += ":" + std::to_string(port_);
  return text;
}

}  // namespace larder::http
