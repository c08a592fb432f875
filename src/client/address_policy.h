// Which addresses requests of this process may reach: those to origins, and those to addresses that
// somebody else wrote, as into a certificate. Checked at connect time, because a name can resolve
// to anything.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/error.h"

namespace larder::client {

// False for everything that is not plain public unicast: loopback, private (RFC 1918), shared
// (100.64/10), link-local, "this network", multicast, reserved, unique local, IPv4 inside IPv6
// (mapped, compatible, NAT64, 6to4, Teredo), documentation.
bool is_public_address(const std::string& address);

// True for what organisations give their own machines: RFC 1918 and unique local addresses, without
// those at which clouds answer questions about a machine.
bool is_private_address(const std::string& address);

struct AddressRules {
  bool private_too = false;
  std::vector<base::AddressRange> allowed;  // besides, whatever they are
};

// PermissionDenied unless the rules allow the address. Addresses of this machine itself are only
// allowed when they are listed, and not even then with one of `own_ports`.
base::Status judge_address(const std::string& address, std::uint16_t port,
                           const AddressRules& rules,
                           std::span<const std::uint16_t> own_ports = {});

// Numeric text of the address; empty for families that are not IP.
std::string address_text(const sockaddr& address);
std::uint16_t port_of(const sockaddr& address);

}  // namespace larder::client
