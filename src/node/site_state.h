// What a node keeps of its site across restarts, in <state_dir>/site (0700), files 0600:
//
//   site.json       URL, node id, name; its presence means: joined
//   root.pem        the only root that the site is believed under
//   identity.key, identity.pem     the node's identity towards the site
//   snapshot.key    the pinned snapshot key (JWK)
//   snapshot.jws    the last snapshot; its time of change is when it was received
//   role.key, role.pem             the role certificate
//   role.crl        the revocation list of its issuer, DER
//
// One thread at a time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace larder::node {

struct SiteIdentity {
  std::string url;  // of the site, without a slash at the end
  std::string root_pem;
  std::string node_id;
  std::string name;
  std::string key_pem;          // secret
  std::string certificate_pem;  // chain, leaf first
};

struct StoredSnapshot {
  std::string signed_text;
  std::string pinned_key;  // JWK
  base::WallTime received_at;
};

struct RoleFiles {
  std::string key_pem;  // secret
  std::string chain_pem;
};

class SiteState {
 public:
  // Makes the folder when it is missing.
  static base::Result<SiteState> open(const std::string& state_dir);

  base::Result<std::optional<SiteIdentity>> load_identity() const;
  // Takes the place of everything that is stored. A crash in between leaves a node that is not
  // joined, never one with parts of two sites.
  base::Status store_identity(const SiteIdentity& identity) const;

  // A new certificate for the same key, in one write.
  base::Status store_identity_certificate(std::string_view chain_pem) const;

  base::Result<std::optional<StoredSnapshot>> load_snapshot() const;
  base::Status store_snapshot(std::string_view signed_text, std::string_view pinned_key) const;

  base::Result<std::optional<RoleFiles>> load_role() const;
  base::Status store_role(const RoleFiles& role) const;
  base::Result<std::optional<std::string>> load_revocation_list() const;
  base::Status store_revocation_list(std::string_view der) const;

 private:
  explicit SiteState(std::string folder) : folder_(std::move(folder)) {}
  std::string path(std::string_view name) const;
  base::Result<std::optional<std::string>> read(std::string_view name, std::uint64_t limit) const;
  base::Status write(std::string_view name, std::string_view content) const;
  base::Status remove(std::string_view name) const;

  std::string folder_;
};

}  // namespace larder::node
