// The keys and certificates of an issuing authority: a long-lived root whose name constraints bound
// everything below it, and an issuing CA of two years that signs. Made at first start.
//
//   <folder>/root.key, root.crt            0600, 0644
//   <folder>/issuing-<n>.key, .crt         the highest number signs; older ones stay for their CRLs
//
// Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"
#include "crypto/issue.h"
#include "crypto/key.h"

namespace larder::authority {

struct AuthoritySettings {
  std::string folder;
  std::string organization;
  crypto::NameConstraints constraints;
};

// An issuing CA: immutable, cheap to copy.
struct Issuer {
  std::string id;  // 32 hexadecimal digits, from its certificate: the name of its CRL
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};

class Authority {
 public:
  static constexpr std::chrono::days kRootLifetime{20 * 365};
  static constexpr std::chrono::days kIssuingLifetime{730};
  static constexpr std::chrono::days kRotateBefore{365};  // so that every leaf lives its whole life
  static constexpr std::chrono::days kCrlLifetime{7};

  // FailedPrecondition when the root that is there was made for other names: what it vouches for is
  // part of it and cannot be edited.
  static base::Result<std::unique_ptr<Authority>> open(const AuthoritySettings& settings,
                                                       base::WallTime now);

  const crypto::Certificate& root() const { return root_; }
  const AuthoritySettings& settings() const { return settings_; }
  Issuer issuing() const;               // the one that signs
  std::vector<Issuer> issuers() const;  // all there ever were, oldest first

  // Makes the next issuing CA when the current one's end is near; true when it did.
  base::Result<bool> rotate_if_due(base::WallTime now);

  // The revocation list of one issuer, as DER; numbered by time.
  static base::Result<std::string> crl(const Issuer& issuer,
                                       std::span<const crypto::RevokedCertificate> revoked,
                                       base::WallTime now);

 private:
  Authority(AuthoritySettings settings, crypto::Certificate root, crypto::PrivateKey root_key);
  base::Result<Issuer> load_or_create_issuer(int number, base::WallTime now) const;

  const AuthoritySettings settings_;
  const crypto::Certificate root_;
  const crypto::PrivateKey root_key_;
  mutable std::mutex mutex_;
  std::vector<Issuer> issuers_;  // guarded by mutex_
};

}  // namespace larder::authority
