// Where OpenSSL leaves the application traffic secrets of a connection; for src/net alone. Never
// printed.
#pragma once

#include <string.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

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

// Keeps the two secrets that the record layer goes on with; all others are dropped. Labels are
// those of a key log file. `app_data`: the TrafficSecrets, or null.
inline void keep_traffic_secret(void* app_data, std::string_view label,
                                std::span<const std::uint8_t> secret) {
  auto* secrets = static_cast<TrafficSecrets*>(app_data);
  // Another length is another hash, so another suite.
  if (secrets == nullptr || secret.size() != Tls13Keys::kSecret) return;
  const bool is_client = label == "CLIENT_TRAFFIC_SECRET_0";
  if (!is_client && label != "SERVER_TRAFFIC_SECRET_0") return;
  std::ranges::copy(secret, (is_client ? secrets->client : secrets->server).begin());
  (is_client ? secrets->has_client : secrets->has_server) = true;
}

}  // namespace larder::net
