// Addresses as they are written in settings: what to listen on, and ranges (CIDR). Numbers only,
// never names: nothing here asks a resolver.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace larder::base {

// "0.0.0.0:80", "[::]:443". An IPv6 listener takes IPv6 only (IPV6_V6ONLY), so that both may be
// bound to one port.
struct ListenAddress {
  std::string address;  // without brackets
  std::uint16_t port = 0;
  bool ipv6 = false;

  bool operator==(const ListenAddress&) const = default;
};

// Port 0 (any free port) is allowed.
Result<ListenAddress> parse_listen_address(std::string_view text);
std::string to_text(const ListenAddress& address);

// A range of addresses: "10.0.0.0/8", "fc00::/7", or one address without a prefix length.
struct AddressRange {
  std::array<std::uint8_t, 16> bytes{};  // network order; the first 4 when not ipv6
  int prefix_length = 0;
  bool ipv6 = false;

  bool operator==(const AddressRange&) const = default;
  // `address` is the text of one address; text that is not an address is in no range. An IPv4
  // address mapped into IPv6 (::ffff:10.0.0.1) counts as the IPv4 address.
  bool contains(std::string_view address) const;
};

// Refuses bits set behind the prefix ("10.0.0.1/8"): a mistake more often than not.
Result<AddressRange> parse_address_range(std::string_view text);
std::string to_text(const AddressRange& range);

// True for the text of an IPv4 or IPv6 address without brackets, port or zone.
bool is_address(std::string_view text);

}  // namespace larder::base
