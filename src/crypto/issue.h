// Making certificates and revocation lists. A certificate is built from our template and a public
// key and from nothing else: what a request wishes for is never copied.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/names.h"

namespace larder::crypto {

// What an authority may issue for (RFC 5280 section 4.2.1.10). Every kind of name has a permitted
// list or is excluded whole: without suffixes no DNS name is allowed, without ranges no address,
// and URIs and e-mail addresses never. Critical.
struct NameConstraints {
  std::vector<std::string> dns_suffixes = {};    // "larder.example.org", without a leading dot
  std::vector<std::string> address_ranges = {};  // "10.0.0.0/8", "fd00::/8"
};

struct CertificateTemplate {
  DistinguishedName subject;  // may be empty when there are alternative names
  AlternativeNames names;
  base::WallTime not_before;
  base::WallTime not_after;
  std::string serial_hex;  // 2 to 40 digits; empty: 127 random bits

  bool is_ca = false;  // with key usage keyCertSign and cRLSign; otherwise digitalSignature
  std::optional<int> path_length;  // for a CA
  bool server_auth = false;
  bool client_auth = false;
  std::optional<NameConstraints> constraints;  // for a CA
  std::string crl_url;                         // CRL distribution point; empty: none
};

// A certificate for `subject_key`, signed by the issuer. FailedPrecondition when the issuer's
// certificate is no CA or does not belong to its key.
base::Result<Certificate> issue(const CertificateTemplate& content, const PublicKey& subject_key,
                                const Certificate& issuer, const PrivateKey& issuer_key);

base::Result<Certificate> issue_self_signed(const CertificateTemplate& content,
                                            const PrivateKey& key);

// The certificate that a device makes from its registered key to prove possession in the TLS
// handshake (RFC 8705 section 2.2, self-signed method).
base::Result<Certificate> make_client_certificate(const PrivateKey& key,
                                                  const std::string& common_name,
                                                  base::WallTime not_before,
                                                  base::WallTime not_after);

// What a TLS server shows to answer a tls-alpn-01 challenge (RFC 8737 section 3): self-signed, for
// one name, with the SHA-256 of the key authorization in the critical extension acmeIdentifier.
base::Result<Certificate> make_challenge_certificate(const PrivateKey& key,
                                                     const AlternativeNames& name,
                                                     const Sha256Digest& digest,
                                                     base::WallTime now);

// RFC 5280 section 5.3.1; the numbers are part of the format.
enum class RevocationReason {
  Unspecified = 0,
  KeyCompromise = 1,
  AffiliationChanged = 3,
  Superseded = 4,
  CessationOfOperation = 5,
};

struct RevokedCertificate {
  std::string serial_hex;
  base::WallTime revoked_at;
  RevocationReason reason = RevocationReason::Unspecified;
};

struct CrlTemplate {
  std::uint64_t number = 0;  // grows with every list of one issuer
  base::WallTime this_update;
  base::WallTime next_update;
  std::span<const RevokedCertificate> revoked = {};
};

// A complete list of the issuer, as DER.
base::Result<std::string> issue_crl(const CrlTemplate& content, const Certificate& issuer,
                                    const PrivateKey& issuer_key);

}  // namespace larder::crypto
