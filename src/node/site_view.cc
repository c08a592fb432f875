#include "node/site_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "crypto/jws.h"

namespace larder::node {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kKeyLimit = 16;
constexpr std::size_t kDeniedLimit = 1'000'000;
constexpr std::size_t kPackageLimit = 10'000;
constexpr std::size_t kNameLimit = 100;

Result<const Json*> array_of(const Json& object, const char* name, std::size_t limit) {
  if (!object.is_object() || !object.contains(name) || !object[name].is_array()) {
    return fail(ErrorCode::InvalidArgument, std::string("\"") + name + "\" must be a list");
  }
  if (object[name].size() > limit) {
    return fail(ErrorCode::InvalidArgument, std::string("\"") + name + "\" is too long");
  }
  return &object[name];
}

Result<std::vector<std::string>> texts_of(const Json& object, const char* name, std::size_t limit) {
  const auto list = array_of(object, name, limit);
  if (!list) return std::unexpected(list.error());
  std::vector<std::string> texts;
  texts.reserve((*list)->size());
  for (const auto& entry : **list) {
    if (!entry.is_string()) {
      return fail(ErrorCode::InvalidArgument, std::string("\"") + name + "\" must hold texts");
    }
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

Result<SiteMode> mode_of(const Json& object) {
  const auto text = base::json_string(object, "mode");
  if (!text) return std::unexpected(text.error());
  if (*text == "enhanced") return SiteMode::Enhanced;
  if (*text == "https-only") return SiteMode::HttpsOnly;
  return fail(ErrorCode::InvalidArgument, "the site's mode is not known to this node");
}

Result<crypto::PublicKey> key_of(const Json& jwk) {
  if (!jwk.is_object()) return fail(ErrorCode::InvalidArgument, "a key must be an object");
  return crypto::PublicKey::from_jwk(jwk.dump());
}

struct Keys {
  std::vector<SiteTokenKey> token;
  std::vector<crypto::PublicKey> manifest;
};

Result<Keys> keys_of(const Json& object) {
  const auto list = array_of(object, "token_keys", kKeyLimit);
  if (!list) return std::unexpected(list.error());
  Keys keys;
  for (const auto& jwk : **list) {
    auto key = key_of(jwk);
    if (!key) return std::unexpected(key.error());
    // The thumbprint is computed, not read: a name for a key must not depend on who says it.
    auto id = key->thumbprint();
    if (!id) return std::unexpected(id.error());
    const auto use = base::json_string_or(jwk, "use", "sig");
    if (!use) return std::unexpected(use.error());
    if (*use == "manifest") {
      keys.manifest.push_back(std::move(*key));
    } else if (*use == "sig") {
      keys.token.push_back({.id = std::move(*id), .key = std::move(*key)});
    }
  }
  return keys;
}

std::optional<content::Manifest> verify_with_any(const std::string& signed_manifest,
                                                 const std::vector<crypto::PublicKey>& keys) {
  for (const auto& key : keys) {
    auto manifest = content::verify_manifest(signed_manifest, key);
    if (manifest) return std::move(*manifest);
  }
  return std::nullopt;
}

Result<std::vector<SitePackage>> packages_of(const Json& object,
                                             const std::vector<crypto::PublicKey>& keys) {
  const auto list = array_of(object, "packages", kPackageLimit);
  if (!list) return std::unexpected(list.error());
  std::vector<SitePackage> packages;
  for (const auto& entry : **list) {
    auto name = base::json_string(entry, "name");
    if (!name) return std::unexpected(name.error());
    auto version = base::json_string(entry, "version");
    if (!version) return std::unexpected(version.error());
    auto text = base::json_string(entry, "manifest");
    if (!text) return std::unexpected(text.error());
    auto manifest = verify_with_any(*text, keys);
    if (!manifest || manifest->package != *name || manifest->version != *version) {
      base::log_error("a package of the site has no valid manifest and is left out",
                      {{"package", *name}, {"version", *version}});
      continue;
    }
    packages.push_back({.manifest = std::move(*manifest), .signed_manifest = std::move(*text)});
  }
  return packages;
}

Status read_head(const Json& json, SiteView& view) {
  const auto sequence = base::json_integer(json, "sequence");
  if (!sequence) return std::unexpected(sequence.error());
  const auto issued = base::json_string(json, "issued_at");
  if (!issued) return std::unexpected(issued.error());
  const auto issued_at = base::parse_rfc3339(*issued);
  if (!issued_at) return std::unexpected(issued_at.error());
  auto site_id = base::json_string(json, "site_id");
  if (!site_id) return std::unexpected(site_id.error());
  auto issuer = base::json_string(json, "issuer");
  if (!issuer) return std::unexpected(issuer.error());
  const auto mode = mode_of(json);
  if (!mode) return std::unexpected(mode.error());
  if (*sequence < 0) return fail(ErrorCode::InvalidArgument, "\"sequence\" is negative");
  view.sequence = static_cast<std::uint64_t>(*sequence);
  view.issued_at = *issued_at;
  view.site_id = std::move(*site_id);
  view.issuer = std::move(*issuer);
  view.mode = *mode;
  return {};
}

Status read_lists(const Json& json, SiteView& view) {
  auto keys = keys_of(json);
  if (!keys) return std::unexpected(keys.error());
  auto denied = texts_of(json, "denied_clients", kDeniedLimit);
  if (!denied) return std::unexpected(denied.error());
  auto packages = packages_of(json, keys->manifest);
  if (!packages) return std::unexpected(packages.error());
  if (!json.contains("node")) {
    return fail(ErrorCode::InvalidArgument, "\"node\" must be an object");
  }
  auto names = texts_of(json["node"], "names", kNameLimit);
  if (!names) return std::unexpected(names.error());
  auto addresses = texts_of(json["node"], "addresses", kNameLimit);
  if (!addresses) return std::unexpected(addresses.error());
  view.token_keys = std::move(keys->token);
  view.denied_clients = {std::make_move_iterator(denied->begin()),
                         std::make_move_iterator(denied->end())};
  view.packages = std::move(*packages);
  view.names = std::move(*names);
  view.addresses = std::move(*addresses);
  return {};
}

}  // namespace

const SitePackage* SiteView::find_package(std::string_view name, std::string_view version) const {
  for (const auto& package : packages) {
    if (package.manifest.package == name && package.manifest.version == version) return &package;
  }
  return nullptr;
}

const SiteTokenKey* SiteView::find_token_key(std::string_view id) const {
  for (const auto& key : token_keys) {
    if (key.id == id) return &key;
  }
  return nullptr;
}

Result<SiteView> verify_snapshot(std::string_view signed_text, std::string_view pinned_key,
                                 base::WallTime received_at) {
  const auto jws =
      crypto::parse_jws(signed_text, {.type = kSnapshotType, .size_limit = kSnapshotLimit});
  if (!jws) return std::unexpected(jws.error());
  if (!pinned_key.empty()) {
    const auto key = crypto::PublicKey::from_jwk(pinned_key);
    if (!key) return std::unexpected(key.error());
    LARDER_TRY(crypto::verify_jws(*jws, *key));
  }
  const auto json = base::parse_json(jws->payload);
  if (!json) return std::unexpected(json.error());
  if (!json->is_object() || !json->contains("snapshot_key")) {
    return fail(ErrorCode::InvalidArgument, "the snapshot names no key");
  }
  const auto key = key_of((*json)["snapshot_key"]);
  if (!key) return std::unexpected(key.error());
  if (pinned_key.empty()) LARDER_TRY(crypto::verify_jws(*jws, *key));
  auto jwk = key->to_jwk();
  if (!jwk) return std::unexpected(jwk.error());

  SiteView view;
  LARDER_TRY(read_head(*json, view));
  LARDER_TRY(read_lists(*json, view));
  view.received_at = received_at;
  view.snapshot_key = std::move(*jwk);
  return view;
}

}  // namespace larder::node
