// What of the certificates that an administrator hands over is served: which leaf, and with which
// chain, whatever their order. Pure.
#pragma once

#include <span>
#include <vector>

#include "base/clock.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/verify.h"

namespace larder::certs {

// Of the certificates made for the key the one to serve: valid now before one that is not, then the
// one that ends last. Null when none was made for it.
const crypto::Certificate* choose_leaf(std::span<const crypto::Certificate> certificates,
                                       const crypto::PrivateKey& key, base::WallTime now);

// The leaf and those of the others that lead on from it, in order, without the root at the end:
// clients have the root, or the chain does not help them. Where there are several ways (an
// authority was renewed, or cross-signed) it is one that leads to a root of `trust`, then one that
// is valid now, then the one that lasts longest. At most 64 ways are looked at. An issuer whose key
// did not make the signature is taken only where no other is there: a forgery is to be told as
// such.
std::vector<crypto::Certificate> order_chain(const crypto::Certificate& leaf,
                                             std::span<const crypto::Certificate> others,
                                             const crypto::TrustStore& trust, base::WallTime now);

}  // namespace larder::certs
