// Sets of public keys as JSON (RFC 7517 section 5): what /.well-known/jwks.json serves and what a
// snapshot lists.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "crypto/key.h"

namespace larder::token {

struct SetKey {
  std::string id;   // `kid`
  std::string use;  // "sig", "manifest"; empty when absent
  crypto::PublicKey key;
};

// A key as its set lists it, with its RFC 7638 thumbprint as id.
base::Result<SetKey> make_set_key(const crypto::PublicKey& key, std::string_view use);

std::string print_jwk(const SetKey& key);
std::string print_jwk_set(std::span<const SetKey> keys);

// At most `limit` keys. Keys of kinds that Larder cannot use are left out, as RFC 7517 section 5
// asks; a key without `kid` gets its thumbprint. Malformed text and two keys of one id are errors.
base::Result<std::vector<SetKey>> parse_jwk_set(std::string_view text, std::size_t limit = 32);

// Null when absent; valid as long as the span's keys.
const crypto::PublicKey* find_key(std::span<const SetKey> keys, std::string_view id);

}  // namespace larder::token
