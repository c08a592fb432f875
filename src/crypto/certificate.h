// X.509 certificates as values: parsed once, immutable, cheap to copy, safe on several threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/digest.h"
#include "crypto/handles.h"
#include "crypto/key.h"
#include "crypto/names.h"

namespace larder::crypto {

class Certificate {
 public:
  // Exactly one certificate of at most 64 KiB.
  static base::Result<Certificate> from_der(std::span<const std::uint8_t> der);
  // The text must hold exactly one certificate.
  static base::Result<Certificate> from_pem(std::string_view pem);

  std::string subject() const;  // RFC 2253 text: "CN=node1,O=Example"
  std::string issuer() const;
  std::string common_name() const;  // empty when there is none
  std::string serial_hex() const;   // lower case
  base::WallTime not_before() const { return not_before_; }
  base::WallTime not_after() const { return not_after_; }
  AlternativeNames alternative_names() const;
  std::vector<std::string> dns_names() const { return alternative_names().dns; }
  std::vector<std::string> addresses() const { return alternative_names().addresses; }

  // May sign certificates: by its basic constraints and its key usage.
  bool is_ca() const;
  // Issuer and subject are equal and the signature verifies with its own key.
  bool is_self_signed() const;
  // The extended key usage extension names the purpose; without the extension both are false.
  bool has_server_auth() const;
  bool has_client_auth() const;
  // The key usage extension allows digital signatures, by which a server proves that it has the key
  // (RFC 8446 section 4.4.2.2); without the extension everything is allowed.
  bool may_sign() const;
  // True when an alternative name covers the DNS name or address text, by the rules that clients
  // apply (RFC 6125: whole-label wildcards, the common name never counts).
  bool covers(const std::string& name) const;
  bool matches(const PrivateKey& key) const;
  // By names, key identifiers and key usage; the signature is not checked.
  bool is_issuer_of(const Certificate& other) const;
  // By names and the signature, whether or not the other one was allowed to.
  bool was_signed_by(const Certificate& other) const;

  // Security bits of the digest in the signature: SHA-256 is 128, SHA-1 63.
  int signature_security_bits() const;
  std::string signature_algorithm() const;  // "ecdsa-with-SHA256"
  base::Result<PublicKey> public_key() const;

  // The id of a certificate is the SHA-256 of its DER; consoles on Windows show the SHA-1.
  Sha256Digest sha256() const;
  std::string sha256_hex() const;
  std::string sha1_hex() const;

  std::string to_pem() const;
  std::string to_der() const;

  X509* native() const { return certificate_.get(); }

  friend bool operator==(const Certificate& a, const Certificate& b) {
    return X509_cmp(a.native(), b.native()) == 0;
  }

  // Takes a parsed certificate; InvalidArgument when its dates cannot be read.
  static base::Result<Certificate> adopt(CertificateHandle handle);

 private:
  Certificate(SharedCertificate certificate, base::WallTime not_before, base::WallTime not_after)
      : certificate_(std::move(certificate)), not_before_(not_before), not_after_(not_after) {}

  SharedCertificate certificate_;
  base::WallTime not_before_;
  base::WallTime not_after_;
};

// All certificates of a PEM text in their order, at least one and at most `limit`. Text between the
// blocks is ignored; a block of another kind (a key, say) is an error.
base::Result<std::vector<Certificate>> parse_certificates(std::string_view pem,
                                                          std::size_t limit = 16);
std::string to_pem(std::span<const Certificate> chain);

}  // namespace larder::crypto
