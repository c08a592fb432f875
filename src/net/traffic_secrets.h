// Where OpenSSL's key log leaves the application traffic secrets of a connection; for src/net
// alone. Never printed.
#pragma once

#include <string.h>

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
    explicit_bzero(client.data(), client.size());
    explicit_bzero(server.data(), server.size());
  }
};

}  // namespace larder::net
