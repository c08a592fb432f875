#include "client/address_policy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

namespace larder::client {

namespace {

const std::vector<base::AddressRange>& special_ranges() {
  static const std::vector<base::AddressRange> ranges = [] {
    std::vector<base::AddressRange> parsed;
    for (const char* text :
         {"0.0.0.0/8",       "10.0.0.0/8",     "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
          "172.16.0.0/12",   "192.0.0.0/24",   "192.0.2.0/24",   "192.168.0.0/16", "198.18.0.0/15",
          "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",    "::/128",
          "::1/128",         "64:ff9b::/96",   "64:ff9b:1::/48", "2001:db8::/32",  "2002::/16",
          "fc00::/7",        "fe80::/10",      "ff00::/8"}) {
      const base::Result<base::AddressRange> range = base::parse_address_range(text);
      if (range) parsed.push_back(*range);
    }
    return parsed;
  }();
  return ranges;
}

}  // namespace

bool is_public_address(const std::string& address) {
  if (!base::is_address(address)) return false;
  for (const base::AddressRange& range : special_ranges()) {
    if (range.contains(address)) return false;
  }
  in6_addr v6{};
  if (::inet_pton(AF_INET6, address.c_str(), &v6) == 1 &&
      (IN6_IS_ADDR_V4MAPPED(&v6) || IN6_IS_ADDR_V4COMPAT(&v6))) {
    return false;
  }
  return true;
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

}  // namespace larder::client
