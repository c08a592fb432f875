// Which addresses an origin may have. Checked at connect time, because a name can resolve to
// anything.
#pragma once

#include <sys/socket.h>

#include <span>
#include <string>
#include <vector>

#include "base/address.h"

namespace larder::client {

// False for everything that is not plain public unicast: loopback, private (RFC 1918), shared
// (100.64/10), link-local, "this network", multicast, reserved, unique local, IPv4 inside IPv6
// (mapped, compatible, NAT64, 6to4, Teredo), documentation.
bool is_public_address(const std::string& address);

// Numeric text of the address; empty for families that are not IP.
std::string address_text(const sockaddr& address);

}  // namespace larder::client
