#include "crypto/digest.h"

#include <openssl/hmac.h>

#include <cstdio>
#include <cstdlib>

#include "base/encoding.h"

namespace larder::crypto {

namespace {

void require(bool worked) {
  if (worked) return;
  std::fputs("larder: OpenSSL cannot compute SHA-256\n", stderr);
  std::abort();
}

// Looking the algorithm up costs more than hashing a short text, so it is done once.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

}  // namespace

Sha256Digest sha256(std::span<const std::uint8_t> bytes) {
  Sha256Digest digest{};
  require(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, sha256_algorithm(),
                     nullptr) == 1);
  return digest;
}

Sha256Digest sha256(std::string_view text) {
  return sha256(base::as_bytes(text));
}

std::string sha256_hex(std::string_view text) {
  return base::to_hex(sha256(text));
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  require(context_ && EVP_DigestInit_ex(context_.get(), sha256_algorithm(), nullptr) == 1);
}

void Sha256::update(std::span<const std::uint8_t> bytes) {
  require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

void Sha256::update(std::string_view text) {
  update(base::as_bytes(text));
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest{};
  require(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1);
  require(EVP_DigestInit_ex(context_.get(), sha256_algorithm(), nullptr) == 1);
  return digest;
}

Sha256Digest hmac_sha256(std::string_view key, std::string_view message) {
  Sha256Digest digest{};
  unsigned int length = 0;
  require(HMAC(sha256_algorithm(), key.data(), static_cast<int>(key.size()),
               base::as_bytes(message).data(), message.size(), digest.data(), &length) != nullptr &&
          length == digest.size());
  return digest;
}

}  // namespace larder::crypto
