#include "site/snapshot.h"

#include <nlohmann/json.hpp>

#include "crypto/jws.h"

namespace larder::site {

base::Result<std::string> sign_snapshot(const State& state, const Published& published,
                                        const Node& node, base::WallTime now) {
  nlohmann::json keys = nlohmann::json::array();
  for (const token::SetKey& key : state.token_keys) {
    keys.push_back(nlohmann::json::parse(token::print_jwk(key)));
  }
  // A blocked client's last token is dead after its whole life: then it need not be listed.
  nlohmann::json denied = nlohmann::json::array();
  const auto alive = base::to_unix_seconds(now - token::kContentTokenLifetime - 2 * token::kLeeway);
  for (const BlockedClient& client : published.blocked) {
    if (client.blocked_at >= alive) denied.push_back(client.id);
  }
  nlohmann::json packages = nlohmann::json::array();
  for (const PublishedPackage& package : published.packages) {
    packages.push_back(
        {{"name", package.name}, {"version", package.version}, {"manifest", package.manifest}});
  }
  const nlohmann::json snapshot{
      {"sequence", published.sequence},
      {"issued_at", base::to_rfc3339(now)},
      {"site_id", state.site_id},
      {"mode", published.mode},
      {"snapshot_key", nlohmann::json::parse(token::print_jwk(state.snapshot_key->published))},
      {"issuer", state.settings.public_url},
      {"token_keys", std::move(keys)},
      {"denied_clients", std::move(denied)},
      {"packages", std::move(packages)},
      {"node", {{"names", node.names.dns}, {"addresses", node.names.addresses}}}};
  crypto::JwsHeader header;
  header.type = kSnapshotType;
  header.key_id = state.snapshot_key->published.id;
  return crypto::sign_jws(header, snapshot.dump(), state.snapshot_key->key);
}

}  // namespace larder::site
