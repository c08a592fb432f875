#include "client/address_policy.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <initializer_list>

namespace larder::client {

namespace {

std::vector<base::AddressRange> parse_all(std::initializer_list<const char*> texts) {
  std::vector<base::AddressRange> parsed;
  for (const char* text : texts) {
    const base::Result<base::AddressRange> range = base::parse_address_range(text);
    if (range) parsed.push_back(*range);
  }
  return parsed;
}

// Public IPv6 is one range; everything else, with all forms that carry an IPv4 address for a
// translator (mapped, compatible, NAT64), lies outside of it.
const std::vector<base::AddressRange>& global_unicast() {
  static const std::vector<base::AddressRange> ranges = parse_all({"2000::/3"});
  return ranges;
}

const std::vector<base::AddressRange>& special_ranges() {
  static const std::vector<base::AddressRange> ranges = parse_all({
      "0.0.0.0/8",         // this network
      "10.0.0.0/8",        // private
      "100.64.0.0/10",     // shared, behind carriers' translators
      "127.0.0.0/8",       // loopback
      "168.63.129.16/32",  // where Azure tells a machine about itself
      "169.254.0.0/16",    // link-local
      "172.16.0.0/12",     // private
      "192.0.0.0/24",      // protocol assignments
      "192.0.2.0/24",      // documentation
      "192.88.99.0/24",    // relays of 6to4
      "192.168.0.0/16",    // private
      "198.18.0.0/15",     // benchmarks
      "198.51.100.0/24",   // documentation
      "203.0.113.0/24",    // documentation
      "224.0.0.0/4",       // multicast
      "240.0.0.0/4",       // reserved, broadcast
      "2001::/23",         // protocol assignments, with Teredo and its embedded IPv4
      "2001:db8::/32",     // documentation
      "2002::/16",         // 6to4, embedded IPv4
      "3fff::/20",         // documentation
  });
  return ranges;
}

const std::vector<base::AddressRange>& private_ranges() {
  static const std::vector<base::AddressRange> ranges =
      parse_all({"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"});
  return ranges;
}

const std::vector<base::AddressRange>& unique_local() {
  static const std::vector<base::AddressRange> ranges = parse_all({"fc00::/7"});
  return ranges;
}

// Unique local, yet no machine of the organisation's: whoever asks there is told the secrets of the
// machine that asks.
const std::vector<base::AddressRange>& cloud_ranges() {
  static const std::vector<base::AddressRange> ranges = parse_all({
      "fd00:ec2::/32",  // Amazon's
      "fd20:ce::/32",   // Google's
  });
  return ranges;
}

bool is_in(const std::vector<base::AddressRange>& ranges, const std::string& address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const base::AddressRange& range) { return range.contains(address); });
}

// The one way to write it, and of an IPv4 address mapped into IPv6 that: it leads to the same
// place.
std::string plain_text(const std::string& address) {
  in6_addr bytes{};
  if (::inet_pton(AF_INET6, address.c_str(), &bytes) != 1) return address;
  char text[INET6_ADDRSTRLEN] = "";
  if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
    ::inet_ntop(AF_INET, &bytes.s6_addr[12], text, sizeof text);
  } else {
    ::inet_ntop(AF_INET6, &bytes, text, sizeof text);
  }
  return text;
}

// Of a plain text.
bool is_own_address(const std::string& address) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return true;  // cannot tell: refuse
  bool own = false;
  for (const ifaddrs* entry = list; entry != nullptr && !own; entry = entry->ifa_next) {
    own = entry->ifa_addr != nullptr && address_text(*entry->ifa_addr) == address;
  }
  ::freeifaddrs(list);
  return own || address.starts_with("127.") || address == "::1" || address == "0.0.0.0" ||
         address == "::";
}

}  // namespace

bool is_public_address(const std::string& address) {
  if (!base::is_address(address)) return false;
  // A mapped address compares as the IPv4 address in it, so it is not in the range either.
  const bool ipv6 = address.find(':') != std::string::npos;
  if (ipv6 && !is_in(global_unicast(), address)) return false;
  return !is_in(special_ranges(), address);
}

bool is_private_address(const std::string& address) {
  const bool ipv6 = address.find(':') != std::string::npos;
  if (ipv6) return is_in(unique_local(), address) && !is_in(cloud_ranges(), address);
  return is_in(private_ranges(), address);
}

base::Status judge_address(const std::string& address, std::uint16_t port,
                           const AddressRules& rules, std::span<const std::uint16_t> own_ports) {
  const auto refuse = [](const std::string& what) {
    return base::fail(base::ErrorCode::PermissionDenied, what);
  };
  const bool own = is_own_address(plain_text(address));
  if (own && std::ranges::find(own_ports, port) != own_ports.end()) {
    return refuse("the address " + address + " is this node itself");
  }
  if (is_in(rules.allowed, address)) return {};
  if (own) return refuse("the address " + address + " is this machine's own and not allowed");
  if (is_public_address(address)) return {};
  if (rules.private_too && is_private_address(address)) return {};
  return refuse("the address " + address + " is not public" +
                (rules.private_too ? ", not private" : "") + " and not allowed");
}

std::string address_text(const sockaddr& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.sa_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text,
                sizeof text);
  } else if (address.sa_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text,
                sizeof text);
  }
  return text;
}

std::uint16_t port_of(const sockaddr& address) {
  return ntohs(address.sa_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                   : reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

}  // namespace larder::client
