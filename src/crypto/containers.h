// Certificates inside the containers that CAs and Windows hand out. Private keys inside are
// noticed, never decrypted.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "crypto/certificate.h"

namespace larder::crypto {

// The certificates of PKCS#7 signed data (RFC 2315; .p7b), in its order. InvalidArgument when there
// are none, ResourceExhausted when there are more than `limit`.
base::Result<std::vector<Certificate>> read_pkcs7(std::span<const std::uint8_t> der,
                                                  std::size_t limit = 16);

struct Pkcs12Content {
  std::vector<Certificate> certificates;
  bool holds_key = false;
};

// The certificates of PKCS#12 (RFC 7292; .pfx, .p12). Unauthenticated when the password is wrong or
// one is needed; InvalidArgument for what is no PKCS#12 or holds no certificate; ResourceExhausted
// for more than `limit` certificates, or key derivations that would take minutes.
base::Result<Pkcs12Content> read_pkcs12(std::span<const std::uint8_t> der,
                                        std::string_view password, std::size_t limit = 16);

}  // namespace larder::crypto
