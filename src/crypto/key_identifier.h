// By which key a certificate says that it was signed (RFC 5280 section 4.2.1.1).
#pragma once

#include <string>

#include "crypto/certificate.h"

namespace larder::crypto {

// The bytes of the authority key identifier; empty when there is none.
std::string authority_key_identifier(const Certificate& certificate);

}  // namespace larder::crypto
