// Certificate signing requests (PKCS#10, RFC 2986).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "crypto/handles.h"
#include "crypto/key.h"
#include "crypto/names.h"

namespace larder::crypto {

// A parsed request. What it asks for is only a wish: an authority builds the certificate from its
// own template and takes nothing but the public key from here.
class CertificateRequest {
 public:
  // Signs the names with the key. A common name without alternative names is refused: no client
  // reads the common name any more.
  static base::Result<CertificateRequest> create(const PrivateKey& key,
                                                 const DistinguishedName& subject,
                                                 const AlternativeNames& names);
  // One request of at most 64 KiB. Its signature is not yet checked.
  static base::Result<CertificateRequest> from_pem(std::string_view pem);

  // Unauthenticated when the request was not signed by the private half of its key: the proof of
  // possession. PermissionDenied for keys that are too weak.
  base::Status verify() const;

  base::Result<PublicKey> public_key() const;
  std::string subject() const;
  std::string common_name() const;
  AlternativeNames alternative_names() const;
  std::string to_pem() const;
  std::string to_der() const;

 private:
  explicit CertificateRequest(RequestHandle request) : request_(std::move(request)) {}

  RequestHandle request_;
};

}  // namespace larder::crypto
