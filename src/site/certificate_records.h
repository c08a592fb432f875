// The inventory and the ledger of the authority in the site's database.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "authority/ledger.h"
#include "authority/signing.h"
#include "base/clock.h"
#include "base/error.h"
#include "crypto/issue.h"
#include "crypto/key.h"
#include "db/database.h"

namespace larder::site {

struct CertificateRow {
  std::string sha256;
  std::string serial;
  std::string kind;   // authority::name(CertificateKind)
  std::string owner;  // node id or "site"
  std::string issuer;
  std::int64_t not_before = 0;
  std::int64_t not_after = 0;
  std::int64_t issued_at = 0;
  std::int64_t revoked_at = 0;  // 0: not revoked
};

// Thread-safe.
class CertificateRecords final : public authority::IssueRecords {
 public:
  explicit CertificateRecords(db::Database& database) : database_(database) {}

  // Inventory row and ledger entry in one transaction.
  base::Status record(const authority::IssuedCertificate& issued) override;

  // Certificates that have not expired; newest first.
  base::Result<std::vector<CertificateRow>> current(base::WallTime now) const;
  // How many of the kind were issued to the owner since then.
  base::Result<std::int64_t> issued_since(const std::string& owner, authority::CertificateKind kind,
                                          base::WallTime since) const;
  // By issuer id: what belongs on its list, expired ones left out.
  base::Result<std::map<std::string, std::vector<crypto::RevokedCertificate>>> revoked(
      base::WallTime now) const;

  // The whole chain, and that each signed head is on it. The number of entries.
  base::Result<std::int64_t> verify_ledger(const crypto::PublicKey& ledger_key) const;
  // Signs the newest entry when no head names it yet.
  base::Status sign_head(const crypto::PrivateKey& ledger_key, base::WallTime now);

 private:
  db::Database& database_;
};

// Inside a transaction: revokes what of that kind the owner has, with a ledger entry each. The
// digests of what was revoked.
base::Result<std::vector<std::string>> revoke_certificates(db::Session& session,
                                                           const std::string& owner,
                                                           authority::CertificateKind kind,
                                                           std::string_view reason,
                                                           base::WallTime now);

}  // namespace larder::site
