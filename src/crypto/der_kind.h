// Tells apart what people hand over when they are asked for a certificate.
#pragma once

#include <cstdint>
#include <span>

namespace larder::crypto {

enum class DerKind {
  Certificate,
  Request,     // PKCS#10
  PrivateKey,  // PKCS#8, also encrypted, or an older form
  Pkcs7,       // certificates and perhaps a signature, no key
  Pkcs12,      // usually a key with its certificate
  Other,
};

// By content alone. Looks, keeps nothing.
DerKind classify_der(std::span<const std::uint8_t> der);

}  // namespace larder::crypto
