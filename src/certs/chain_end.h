// Which certificate of a chain ends first, as clients see it. Pure.
#pragma once

#include <span>

#include "base/clock.h"
#include "crypto/certificate.h"
#include "crypto/verify.h"

namespace larder::certs {

// Of a chain (leaf first) the certificate with whose end clients begin to refuse it: the leaf, or
// an intermediate that ends before it. One that is not needed, because another path leads to a root
// of `trust` by then, does not count. Where no path is known (`trust` is null, or has not the
// root), each intermediate is taken to be needed.
const crypto::Certificate& first_to_end(std::span<const crypto::Certificate> chain,
                                        const crypto::TrustStore* trust, base::WallTime now);

}  // namespace larder::certs
