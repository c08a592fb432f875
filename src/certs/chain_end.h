// Which certificate of a chain ends first, as clients see it.
#pragma once

#include <span>
#include <string>

#include "base/clock.h"
#include "crypto/certificate.h"
#include "crypto/verify.h"

namespace larder::certs {

// Of a chain (leaf first) the certificate with whose end clients begin to refuse it: the leaf, or
// an intermediate that ends before it. One that is not needed, because another path leads to a root
// of `trust` by then, does not count. Where no path is known (`trust` is null, or has not the
// root), each intermediate is taken to be needed. Pure.
const crypto::Certificate& first_to_end(std::span<const crypto::Certificate> chain,
                                        const crypto::TrustStore* trust, base::WallTime now);

// The same by the CA files that clients trust (empty: the system's store), which are read only
// where it depends on them; what cannot be read is not known.
const crypto::Certificate& first_to_end(std::span<const crypto::Certificate> chain,
                                        std::span<const std::string> client_trust,
                                        base::WallTime now);

}  // namespace larder::certs
