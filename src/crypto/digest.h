// SHA-256 and HMAC-SHA-256. These cannot fail for any input; an OpenSSL that cannot do them ends
// the process.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "crypto/handles.h"

namespace larder::crypto {

using Sha256Digest = std::array<std::uint8_t, 32>;

Sha256Digest sha256(std::span<const std::uint8_t> bytes);
Sha256Digest sha256(std::string_view text);
std::string sha256_hex(std::string_view text);  // lower case

// A digest of bytes that arrive in parts. One thread at a time.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::uint8_t> bytes);
  void update(std::string_view text);
  // The digest of everything so far; the object then starts anew.
  Sha256Digest finish();

 private:
  DigestContextHandle context_;
};

Sha256Digest hmac_sha256(std::string_view key, std::string_view message);

}  // namespace larder::crypto
