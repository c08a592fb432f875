// The names that certificates carry, checked and turned into bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace larder::crypto {

// Subject of a request or certificate; empty members are left out.
struct DistinguishedName {
  std::string common_name = {};
  std::string country = {};  // two letters
  std::string state = {};
  std::string organization = {};
};

// Subject alternative names (RFC 5280 section 4.2.1.6). Addresses are text: "10.0.0.5", "fd00::5".
struct AlternativeNames {
  std::vector<std::string> dns = {};
  std::vector<std::string> addresses = {};
  std::vector<std::string> uris = {};
  std::vector<std::string> emails = {};
  // Written into requests, never read: no client connects by them.
  std::vector<std::string> registered_ids = {};   // "1.2.3.4"
  std::vector<std::string> directory_names = {};  // "CN=node1,O=Example"
  std::vector<std::string> other_names = {};      // "1.3.6.1.4.1.311.20.2.3;node1@example.org"

  bool empty() const {
    return dns.empty() && addresses.empty() && uris.empty() && emails.empty() &&
           registered_ids.empty() && directory_names.empty() && other_names.empty();
  }
};

// Letters, digits, hyphens and dots, labels of 1 to 63, at most 253 in all, no trailing dot; a
// first label "*" only when `wildcard_allowed`; no IPv4 address. Names in other alphabets come as
// punycode.
base::Status check_dns_name(std::string_view name, bool wildcard_allowed);

// 4 or 16 bytes in network order.
base::Result<std::vector<std::uint8_t>> parse_address(std::string_view text);
// The canonical text of 4 or 16 bytes; empty for any other length.
std::string format_address(const std::uint8_t* bytes, std::size_t size);

}  // namespace larder::crypto
