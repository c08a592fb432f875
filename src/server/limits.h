// What a server allows its clients; may change while it runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "server/egress.h"

namespace larder::server {

struct Timeouts {
  std::chrono::milliseconds handshake{10'000};
  // From the first byte of a request to the end of its head.
  std::chrono::milliseconds header{15'000};
  std::chrono::milliseconds idle{75'000};  // between requests
  // While sending, or reading a body: without progress, or with less than Limits::lowest_rate.
  std::chrono::milliseconds stall{60'000};
};

struct Limits {
  // Over all listeners; more are closed at once. Those that only administrators reach may have a
  // few more, so that a crowd does not lock them out.
  std::size_t connections = 20'000;
  std::size_t connections_per_client = 0;  // 0: no limit
  // Bytes a second that a client must take of its answer, or send of its body, over each
  // Timeouts::stall.
  std::uint64_t lowest_rate = 0;
  EgressLimits egress;
  Timeouts timeouts;
};

}  // namespace larder::server
