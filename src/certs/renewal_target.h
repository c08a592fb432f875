// Which certificate of a key a renewal by itself follows, and when it keeps away. Pure.
#pragma once

#include <string>
#include <string_view>

#include "certs/inventory.h"

namespace larder::certs {

struct RenewalTarget {
  // The one that is or would be served, else the one of which the last was heard. Null when there
  // is none, or that one was put away: the others of its key are as suspect.
  const CertificateFacts* current = nullptr;
  // Empty, or why the key is left alone: the administrator decided something else.
  std::string against;
};

// The facts stay the inventory's.
RenewalTarget renewal_target(const Inventory& inventory, std::string_view key_name);

// None of the key's is or would be served, and nobody decided that: its signer should have got one.
bool waits_for_certificate(const RenewalTarget& target);

}  // namespace larder::certs
