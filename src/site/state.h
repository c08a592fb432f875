// What the parts of a site share. Private to this folder; lives as long as the Site.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "authority/authority.h"
#include "authority/policy.h"
#include "base/clock.h"
#include "base/error.h"
#include "content/library.h"
#include "crypto/key.h"
#include "db/database.h"
#include "net/signal.h"
#include "site/certificate_records.h"
#include "site/client_table.h"
#include "site/node_table.h"
#include "site/settings.h"
#include "token/dpop.h"
#include "token/jwk_set.h"
#include "token/token.h"

namespace larder::site {

// One key for one purpose.
struct SigningKey {
  crypto::PrivateKey key;
  token::SetKey published;  // the public half with its id
};

struct PublishedPackage {
  std::string name;
  std::string version;
  std::string manifest;  // JWS
  std::int64_t published_at = 0;
};

struct BlockedClient {
  std::string id;
  std::int64_t blocked_at = 0;
};

// What nodes are told: read from the database as one state, replaced as a whole.
struct Published {
  std::int64_t sequence = 0;
  std::string mode;  // "enhanced" or "https-only"
  std::vector<BlockedClient> blocked;
  std::vector<PublishedPackage> packages;  // newest first

  const PublishedPackage* find(std::string_view name, std::string_view version) const;
};

// Who did what, for the audit log.
struct AuditEntry {
  std::string actor;   // "uid 0", "node <id>", "client <id>", "site"
  std::string action;  // "client.block"
  std::string target;
  std::string detail;
};

struct State {
  State(SiteSettings settings_in, const base::Clock& clock_in)
      : settings(std::move(settings_in)), clock(clock_in) {}

  const SiteSettings settings;
  const base::Clock& clock;
  std::string public_host;  // of public_url: a DNS name or an address without brackets
  std::string site_id;
  base::WallTime started_at;

  std::unique_ptr<db::Database> database;
  std::unique_ptr<CertificateRecords> records;
  authority::Policy policy;
  std::unique_ptr<authority::Authority> authority;
  std::unique_ptr<content::Library> library;
  std::unique_ptr<token::TokenSigner> token_signer;
  std::unique_ptr<SigningKey> manifest_key;
  std::unique_ptr<SigningKey> snapshot_key;
  std::unique_ptr<SigningKey> ledger_key;
  std::vector<token::SetKey> token_keys;  // what jwks.json and snapshots list
  token::DpopVerifier proofs;

  ClientTable clients;
  NodeTable nodes;

  // Notified when `published` was replaced, and when the site stops.
  net::Signal changed;
  std::atomic<bool> stopping = false;

  std::string upload_folder() const { return settings.state_dir + "/upload"; }

  std::shared_ptr<const Published> published() const;
  // Reads what nodes are told from the database and wakes the long polls when it is newer.
  base::Status publish();

  // One change: the closure and its audit entry in one transaction. With `kind` the sequence goes
  // up and nodes learn of it before this returns.
  using Change = std::function<base::Status(db::Session&)>;
  base::Status change(const AuditEntry& entry, const Change& closure, std::string_view kind = {});

 private:
  std::mutex publish_mutex_;  // one publisher at a time; taken before published_mutex_
  mutable std::mutex published_mutex_;
  std::shared_ptr<const Published> published_;  // guarded by published_mutex_
};

base::Status append_audit(db::Session& session, const AuditEntry& entry, base::WallTime now);

// Fills a new State from its folders and database, made at first start.
base::Status load_state(State& state);

}  // namespace larder::site
