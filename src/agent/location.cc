#include "agent/location.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "crypto/key.h"

namespace larder::agent {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kSourceLimit = 64;
constexpr std::size_t kTrustLimit = 256 << 10;

Status read_sources(const Json& json, const char* member, bool is_site,
                    std::vector<Source>& sources) {
  if (!json.contains(member) || !json[member].is_array() || json[member].size() > kSourceLimit) {
    return fail(ErrorCode::InvalidArgument, std::string("\"") + member + "\" must be a list");
  }
  for (const auto& entry : json[member]) {
    auto url = base::json_string(entry, "url");
    if (!url) return std::unexpected(url.error());
    auto trust = base::json_string_or(entry, "trust", "");
    if (!trust) return std::unexpected(trust.error());
    auto name = base::json_string_or(entry, "name", is_site ? "site" : *url);
    if (!name) return std::unexpected(name.error());
    // The token goes along: never without TLS.
    if (!url->starts_with("https://") || trust->size() > kTrustLimit) {
      return fail(ErrorCode::InvalidArgument, "a source of the package is not acceptable");
    }
    while (url->ends_with('/')) url->pop_back();
    sources.push_back({.name = std::move(*name),
                       .url = std::move(*url),
                       .trust = std::move(*trust),
                       .is_site = is_site});
  }
  return {};
}

Result<content::Manifest> read_manifest(const Json& json) {
  const auto text = base::json_string(json, "manifest");
  if (!text) return std::unexpected(text.error());
  const auto digest = base::json_string(json, "manifest_sha256");
  if (!digest) return std::unexpected(digest.error());
  if (!json.contains("manifest_key") || !json["manifest_key"].is_object()) {
    return fail(ErrorCode::InvalidArgument, "\"manifest_key\" must be a key");
  }
  const auto key = crypto::PublicKey::from_jwk(json["manifest_key"].dump());
  if (!key) return std::unexpected(key.error());
  if (content::manifest_sha256(*text) != *digest) {
    return fail(ErrorCode::Unauthenticated, "the manifest does not have the announced digest");
  }
  return content::verify_manifest(*text, *key);
}

}  // namespace

Result<Location> parse_location(std::string_view body, std::string_view package,
                                std::string_view version, base::WallTime now) {
  const auto json = base::parse_json(body);
  if (!json) return std::unexpected(json.error());
  auto manifest = read_manifest(*json);
  if (!manifest) return std::unexpected(manifest.error());
  if (manifest->package != package || (!version.empty() && manifest->version != version)) {
    return fail(ErrorCode::Unauthenticated, "the manifest is of another package");
  }
  const auto text = base::json_string(*json, "expires_at");
  if (!text) return std::unexpected(text.error());
  const auto expires_at = base::parse_rfc3339(*text);
  if (!expires_at) return std::unexpected(expires_at.error());
  if (*expires_at <= now) {
    return fail(ErrorCode::Unauthenticated,
                "the location answer is out of date already: is this device's clock right?");
  }
  Location location{.manifest = std::move(*manifest), .sources = {}};
  LARDER_TRY(read_sources(*json, "nodes", false, location.sources));
  LARDER_TRY(read_sources(*json, "fallback", true, location.sources));
  return location;
}

}  // namespace larder::agent
