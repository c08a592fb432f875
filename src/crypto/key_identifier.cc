#include "crypto/key_identifier.h"

#include <openssl/x509v3.h>

namespace larder::crypto {

std::string authority_key_identifier(const Certificate& certificate) {
  const ASN1_OCTET_STRING* const id = X509_get0_authority_key_id(certificate.native());
  if (id == nullptr) return {};
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(id)),
          static_cast<std::size_t>(ASN1_STRING_length(id))};
}

}  // namespace larder::crypto
