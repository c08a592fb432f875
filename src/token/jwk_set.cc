#include "token/jwk_set.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace larder::token {

using base::ErrorCode;
using base::fail;
using base::Json;
using base::Result;

namespace {

constexpr std::size_t kTextLimit = 256 * 1024;

Json to_json(const SetKey& key) {
  const auto jwk = key.key.to_jwk();
  Json json = jwk ? Json::parse(*jwk, nullptr, false) : Json::object();
  json["kid"] = key.id;
  if (!key.use.empty()) json["use"] = key.use;
  if (key.key.type() == crypto::KeyType::EcP256) json["alg"] = "ES256";
  return json;
}

std::string print(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<SetKey> make_set_key(const crypto::PublicKey& key, std::string_view use) {
  auto id = key.thumbprint();
  if (!id) return std::unexpected(id.error());
  return SetKey{.id = std::move(*id), .use = std::string(use), .key = key};
}

std::string print_jwk(const SetKey& key) {
  return print(to_json(key));
}

std::string print_jwk_set(std::span<const SetKey> keys) {
  Json list = Json::array();
  for (const SetKey& key : keys) list.push_back(to_json(key));
  return print({{"keys", std::move(list)}});
}

Result<std::vector<SetKey>> parse_jwk_set(std::string_view text, std::size_t limit) {
  if (text.size() > kTextLimit)
    return fail(ErrorCode::ResourceExhausted, "the key set is too long");
  const auto json = base::parse_json(text);
  if (!json) return base::with_context("the key set", json.error());
  if (!json->is_object() || !json->contains("keys") || !(*json)["keys"].is_array()) {
    return fail(ErrorCode::InvalidArgument, "the key set has no list \"keys\"");
  }
  if ((*json)["keys"].size() > limit) {
    return fail(ErrorCode::ResourceExhausted, "the key set has too many keys");
  }
  std::vector<SetKey> keys;
  for (const Json& jwk : (*json)["keys"]) {
    if (!jwk.is_object()) return fail(ErrorCode::InvalidArgument, "a key of the set is no object");
    auto key = crypto::PublicKey::from_jwk(print(jwk));
    if (!key) continue;
    const auto use = base::json_string_or(jwk, "use", "");
    if (!use) return std::unexpected(use.error());
    auto entry = make_set_key(*key, *use);
    if (!entry) return std::unexpected(entry.error());
    auto id = base::json_string_or(jwk, "kid", entry->id);
    if (!id) return std::unexpected(id.error());
    if (find_key(keys, *id) != nullptr) {
      return fail(ErrorCode::InvalidArgument, "two keys of the set have one id");
    }
    entry->id = std::move(*id);
    keys.push_back(std::move(*entry));
  }
  return keys;
}

const crypto::PublicKey* find_key(std::span<const SetKey> keys, std::string_view id) {
  for (const SetKey& key : keys) {
    if (key.id == id) return &key.key;
  }
  return nullptr;
}

}  // namespace larder::token
