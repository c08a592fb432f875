#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace larder::base {
namespace {

struct Parsed {
  std::array<std::uint8_t, 16> bytes{};
  bool ipv6 = false;
};

bool parse_address(std::string_view text, Parsed& out) {
  if (text.size() > INET6_ADDRSTRLEN) return false;
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos) return false;
  out.ipv6 = text.find(':') != std::string_view::npos;
  return inet_pton(out.ipv6 ? AF_INET6 : AF_INET, copy.c_str(), out.bytes.data()) == 1;
}

// ::ffff:a.b.c.d becomes a.b.c.d.
void unmap(Parsed& address) {
  static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!address.ipv6 || !std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin())) return;
  std::copy(address.bytes.begin() + 12, address.bytes.end(), address.bytes.begin());
  std::fill(address.bytes.begin() + 4, address.bytes.end(), std::uint8_t{0});
  address.ipv6 = false;
}

bool bit(const std::array<std::uint8_t, 16>& bytes, int index) {
  const auto at = static_cast<std::size_t>(index);
  return ((bytes[at / 8] >> (7 - at % 8)) & 1) != 0;
}

template <typename Number>
bool parse_number(std::string_view text, Number max, Number& out) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  if (text.size() > 1 && text.front() == '0') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && out <= max;
}

std::string address_text(const std::array<std::uint8_t, 16>& bytes, bool ipv6) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(ipv6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return text.data();
}

}  // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto wrong = [] {
    return fail(ErrorCode::InvalidArgument,
                "not an address to listen on: write \"0.0.0.0:80\", \"127.0.0.1:8080\" or "
                "\"[::]:80\"");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong();
  ListenAddress out;
  std::uint32_t port = 0;
  if (!parse_number<std::uint32_t>(text.substr(colon + 1), 65535, port)) return wrong();
  out.port = static_cast<std::uint16_t>(port);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  Parsed parsed;
  if (!parse_address(host, parsed) || parsed.ipv6 != bracketed) return wrong();
  out.address = host;
  out.ipv6 = parsed.ipv6;
  return out;
}

std::string to_text(const ListenAddress& address) {
  const std::string host = address.ipv6 ? "[" + address.address + "]" : address.address;
  return host + ":" + std::to_string(address.port);
}

Result<AddressRange> parse_address_range(std::string_view text) {
  const auto wrong = [] {
    return fail(ErrorCode::InvalidArgument,
                "not a range of addresses: write \"10.0.0.0/8\", \"192.0.2.7\" or \"fc00::/7\"");
  };
  const std::size_t slash = text.find('/');
  Parsed parsed;
  if (!parse_address(text.substr(0, slash), parsed)) return wrong();
  AddressRange range{parsed.bytes, parsed.ipv6 ? 128 : 32, parsed.ipv6};
  if (slash != std::string_view::npos &&
      !parse_number(text.substr(slash + 1), range.prefix_length, range.prefix_length))
    return wrong();
  if (!parsed.ipv6) std::fill(range.bytes.begin() + 4, range.bytes.end(), std::uint8_t{0});
  for (int index = range.prefix_length; index < (range.ipv6 ? 128 : 32); ++index) {
    if (bit(range.bytes, index))
      return fail(ErrorCode::InvalidArgument,
                  "has bits set behind its prefix length: write the first address of the range");
  }
  return range;
}

std::string to_text(const AddressRange& range) {
  return address_text(range.bytes, range.ipv6) + "/" + std::to_string(range.prefix_length);
}

bool AddressRange::contains(std::string_view address) const {
  Parsed parsed;
  if (!parse_address(address, parsed)) return false;
  unmap(parsed);
  if (parsed.ipv6 != ipv6) return false;
  for (int index = 0; index < prefix_length; ++index)
    if (bit(parsed.bytes, index) != bit(bytes, index)) return false;
  return true;
}

bool is_address(std::string_view text) {
  Parsed parsed;
  return parse_address(text, parsed);
}

}  // namespace larder::base
