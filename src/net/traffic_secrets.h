// Where OpenSSL's key log leaves the application traffic secrets of a connection; for src/net
// alone. Never printed.
#pragma once

#include <openssl/crypto.h>

#include <array>
#include <cstdint>

#include "net/tls13_keys.h"

namespace larder::net {

// Set as the SSL's app data while the handshake runs.
struct TrafficSecrets {
  std::array<std::uint8_t, Tls13Keys::kSecret> client{};
  std::array<std::uint8_t, Tls13Keys::kSecret> server{};
  bool has_client = false;
  bool has_server = false;

  ~TrafficSecrets() {
    OPENSSL_cleanse(client.data(), client.size());
    OPENSSL_cleanse(server.data(), server.size());
  }
};

}  // namespace larder::net
