// Which certificates are served side by side, and which one a rollback goes back to. Pure.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "certs/inventory.h"
#include "crypto/certificate.h"

namespace larder::certs {

// Whether a certificate makes one of another key superfluous: it is of the same kind (RSA, EC,
// Ed25519, Ed448) and covers all of its names. So a new key follows the old one, while RSA and EC,
// or certificates for different names, go on side by side.
bool replaces(const crypto::Certificate& next, const crypto::Certificate& served);

// Of all keys, or of the one that is named: the certificate that stopped being served last, by its
// record, is valid and was not retired. Null when there is none.
const CertificateFacts* choose_earlier(const Inventory& inventory, std::string_view key_name,
                                       base::WallTime now);

}  // namespace larder::certs
