// What a node knows of its site: the content of the last snapshot (docs/protocol.md, "Snapshot"),
// verified, as an immutable value that request threads read.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/published.h"
#include "content/manifest.h"
#include "crypto/key.h"

namespace larder::node {

enum class SiteMode { Enhanced, HttpsOnly };

struct SiteTokenKey {
  std::string id;  // kid: RFC 7638 thumbprint
  crypto::PublicKey key;
};

struct SitePackage {
  content::Manifest manifest;  // verified against the site's manifest key
  std::string signed_manifest;
};

struct SiteView {
  std::uint64_t sequence = 0;
  base::WallTime issued_at;
  base::WallTime received_at;  // when this node got it from the site
  std::string site_id;
  SiteMode mode = SiteMode::Enhanced;
  std::string issuer;        // of tokens: the site's public URL
  std::string snapshot_key;  // JWK
  std::vector<SiteTokenKey> token_keys;
  std::set<std::string, std::less<>> denied_clients;
  std::vector<SitePackage> packages;
  std::vector<std::string> names;  // of this node, fixed by the site
  std::vector<std::string> addresses;

  // Null when absent; valid as long as the view.
  const SitePackage* find_package(std::string_view name, std::string_view version) const;
  const SiteTokenKey* find_token_key(std::string_view id) const;
};

inline constexpr std::string_view kSnapshotType = "larder-snapshot+jwt";
inline constexpr std::size_t kSnapshotLimit = 16 << 20;  // bytes of the signed text

// Verifies a snapshot. With `pinned_key` (JWK) empty, the first snapshot: the key inside it must
// have signed it. Otherwise the pinned key must have. Unauthenticated when the signature is wrong,
// InvalidArgument when the content is malformed. A package whose manifest does not verify is left
// out and logged: the others stay available.
base::Result<SiteView> verify_snapshot(std::string_view signed_text, std::string_view pinned_key,
                                       base::WallTime received_at);

// Where the current view is found; null before the first snapshot.
class SiteViewHolder : public base::Published<SiteView> {};

}  // namespace larder::node
