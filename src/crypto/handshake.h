// The proof that a certificate works: a real TLS handshake in memory between a server that has it
// and a client that connects by a name.
#pragma once

#include <span>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/verify.h"

namespace larder::crypto {

// `chain` is leaf first. With `trust` the client verifies the chain and the name at `now`; without,
// it only sees that server, key and chain work together. TLS 1.2 and 1.3 are both tried: old
// clients have only the first. FailedPrecondition with the client's reason.
base::Status prove_handshake(std::span<const Certificate> chain, const PrivateKey& key,
                             const TrustStore* trust, const std::string& name, base::WallTime now);

}  // namespace larder::crypto
