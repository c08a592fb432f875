// DPoP proofs: the first byte chooses between a proof as it came and a payload that we sign, so
// that claims behind a right signature are reached too.
#include "token/dpop.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/jws.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder;
  static const crypto::PrivateKey key =
      crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  static token::DpopVerifier verifier(1024);
  if (size == 0) return 0;
  std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  if ((data[0] & 1) != 0) {
    auto proof = crypto::sign_jws({.type = "dpop+jwt", .embed_key = true}, text, key);
    if (!proof) return 0;
    text = std::move(*proof);
  }
  (void)verifier.verify(text, {.method = "POST", .url = "https://site.example.org/x"},
                        base::from_unix_seconds(1'800'000'000),
                        base::SteadyTime{std::chrono::minutes(5)});
  return 0;
}
