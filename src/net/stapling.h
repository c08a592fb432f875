// OCSP answers that servers hand to clients with their certificate (RFC 6066 section 8), so that
// clients need not ask the CA.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "base/published.h"

namespace larder::net {

struct Staple {
  std::string response;  // DER
  std::chrono::system_clock::time_point until;
};
// By SHA-256 of the certificate, hexadecimal.
using Staples = std::map<std::string, Staple>;

// Replaced as a whole while connections are being made.
using StapleBoard = base::Published<Staples>;

// Clients of this context (SSL_CTX*) that ask for it get the answer for the certificate that they
// are shown, while there is one that is not out of date. The board lives as long as the context.
void offer_staples(void* context, const StapleBoard* board);

}  // namespace larder::net
