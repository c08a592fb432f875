// Which of several certificates a client is shown. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace larder::net {

// What counts of a certificate. The kind of its key: a TLS server offers one of each kind at once,
// and the client's signature algorithms decide between them.
struct IdentityFacts {
  int kind = 0;
  std::vector<std::string> dns_names;  // "node1.example.org", "*.example.org"
  std::vector<std::string> addresses;  // "10.0.0.5"
  base::WallTime not_after = base::WallTime::max();
  bool is_default = false;  // by its administrator's will
};

// Indexes of those to offer, rising, at most one of each kind; of equals the one that stands first.
// By the server name (SNI), for each kind: who has it whole, else by wildcard. Without one, or when
// nobody has it: who has the local address that the client connected to; else the default one and
// its siblings (other kinds that cover the same names); else all. What has expired is offered where
// nothing else fits. Never empty, unless there are none: a client is never turned away for the name
// it asks for.
std::vector<std::size_t> choose_identities(std::span<const IdentityFacts> identities,
                                           std::string_view server_name,
                                           std::string_view local_address, base::WallTime now);

}  // namespace larder::net
