// The signing line: how a request becomes a certificate.
//
// sign() reads top to bottom and is the only way to a certificate of this authority. Who may have
// one, and where it is written down, are the caller's: it brings an Authorisation and the records.
#pragma once

#include <string>
#include <string_view>

#include "authority/authority.h"
#include "authority/policy.h"
#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "crypto/names.h"

namespace larder::authority {

// What somebody may have, as the administrator fixed it; nothing in it comes from the request.
struct Grant {
  CertificateKind kind = CertificateKind::Role;
  std::string owner;  // id of the node, or "site"
  crypto::AlternativeNames names;
  // "node1.example.org" or "site.example.org:8088": where the issuer's CRL is fetched by plain
  // HTTP. Empty: no distribution point.
  std::string crl_host;
};

// The right to one certificate for a key that its holder has proven to possess.
class Authorisation {
 public:
  virtual ~Authorisation() = default;
  // Looks without changing anything: Unauthenticated, PermissionDenied.
  virtual base::Result<Grant> verify(const crypto::PublicKey& key, base::WallTime now) = 0;
  // Uses the right up, atomically: of two at once only one succeeds. Called once, after verify.
  virtual base::Status spend(const crypto::PublicKey& key, base::WallTime now) = 0;
};

struct IssuedCertificate {
  crypto::Certificate certificate;
  Grant grant;
  std::string key_id;  // hexadecimal SHA-256 of the public key's SubjectPublicKeyInfo
  std::string issuer;  // Issuer::id
  base::WallTime issued_at;
};

class IssueRecords {
 public:
  virtual ~IssueRecords() = default;
  // On stable storage, in inventory and ledger, when it returns success.
  virtual base::Status record(const IssuedCertificate& issued) = 0;
};

struct SigningAnswer {
  crypto::Certificate certificate;
  std::string chain;  // PEM: leaf, issuing CA
};

base::Result<SigningAnswer> sign(std::string_view request_pem, Authorisation& authorisation,
                                 IssueRecords& records, const Policy& policy,
                                 const Authority& authority, base::WallTime now);

// Hexadecimal SHA-256 of the key's SubjectPublicKeyInfo.
base::Result<std::string> key_id(const crypto::PublicKey& key);

}  // namespace larder::authority
