#include "site/schema.h"

namespace larder::site {

std::vector<db::Migration> migrations() {
  return {
      {1,
       {
           "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)",

           "CREATE TABLE nodes (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, "
           "names TEXT NOT NULL, addresses TEXT NOT NULL, joined_at BIGINT NOT NULL)",
           "CREATE TABLE node_names (name TEXT PRIMARY KEY, node TEXT NOT NULL REFERENCES nodes "
           "(id))",

           "CREATE TABLE join_tokens (id TEXT PRIMARY KEY, secret_hash TEXT NOT NULL UNIQUE, "
           "node TEXT NOT NULL, names TEXT NOT NULL, addresses TEXT NOT NULL, "
           "expires_at BIGINT NOT NULL, spent_by TEXT NOT NULL)",

           "CREATE TABLE registration_tokens (id TEXT PRIMARY KEY, secret_hash TEXT NOT NULL "
           "UNIQUE, expires_at BIGINT NOT NULL, uses BIGINT NOT NULL, uses_left BIGINT NOT NULL)",

           "CREATE TABLE clients (id TEXT PRIMARY KEY, thumbprint TEXT NOT NULL UNIQUE, "
           "name TEXT NOT NULL, hardware_id TEXT NOT NULL, conflict BIGINT NOT NULL, "
           "registration_token TEXT NOT NULL, registered_at BIGINT NOT NULL, "
           "blocked_at BIGINT NOT NULL)",
           "CREATE INDEX clients_by_hardware ON clients (hardware_id)",

           "CREATE TABLE certificates (sha256 TEXT PRIMARY KEY, serial TEXT NOT NULL, "
           "kind TEXT NOT NULL, owner TEXT NOT NULL, key_id TEXT NOT NULL, "
           "issuer TEXT NOT NULL, not_before BIGINT NOT NULL, not_after BIGINT NOT NULL, "
           "issued_at BIGINT NOT NULL, revoked_at BIGINT NOT NULL)",
           "CREATE INDEX certificates_by_owner ON certificates (owner, kind)",

           "CREATE TABLE ledger (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, event TEXT NOT NULL, "
           "certificate TEXT NOT NULL, detail TEXT NOT NULL, previous TEXT NOT NULL, "
           "hash TEXT NOT NULL)",
           "CREATE TABLE ledger_heads (seq BIGINT PRIMARY KEY, head TEXT NOT NULL)",

           "CREATE TABLE packages (name TEXT NOT NULL, version TEXT NOT NULL, "
           "manifest TEXT NOT NULL, published_at BIGINT NOT NULL, PRIMARY KEY (name, version))",
           "CREATE TABLE package_files (package TEXT NOT NULL, version TEXT NOT NULL, "
           "name TEXT NOT NULL, size BIGINT NOT NULL, sha256 TEXT NOT NULL, pieces TEXT NOT NULL, "
           "PRIMARY KEY (package, version, name))",

           "CREATE TABLE audit (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT NOT NULL, "
           "action TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL)",
       }},
  };
}

}  // namespace larder::site
