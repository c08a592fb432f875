// Compact JWS, JWK and JWK sets: nothing that a stranger sends may crash the reader, and nothing
// that parses may verify under a key that did not sign it.
#include "crypto/jws.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  static const crypto::PrivateKey key =
      crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto jws = crypto::parse_jws(text, {.allow_rs256 = true, .allow_ps256 = true});
  if (jws) {
    if (crypto::verify_jws(*jws, key.public_key())) std::abort();
    if (!jws->embedded_jwk.empty()) (void)crypto::PublicKey::from_jwk(jws->embedded_jwk);
  }
  if (const auto public_key = crypto::PublicKey::from_jwk(text)) {
    if (crypto::PublicKey::from_jwk(public_key->to_jwk().value()).value() != *public_key) {
      std::abort();
    }
  }
  return 0;
}
