// What holds for the connections of one loop, and what is counted of them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "server/egress.h"
#include "server/limits.h"

namespace larder::server {

// Why connections ended before their time, and what was not accepted. Added to by any loop.
struct ServerCounts {
  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> refused_total = 0;   // beyond Limits::connections
  std::atomic<std::uint64_t> made_room = 0;       // idle ones that ended for others
  std::atomic<std::uint64_t> refused_client = 0;  // beyond Limits::connections_per_client
  std::atomic<std::uint64_t> slow_heads = 0;      // Timeouts::header
  std::atomic<std::uint64_t> slow_bodies = 0;     // Timeouts::stall while reading
  std::atomic<std::uint64_t> slow_readers = 0;    // Timeouts::stall while sending
};

// Changes between two steps of the loop.
struct ConnectionRules {
  Timeouts timeouts;
  std::uint64_t lowest_rate = 0;  // Limits::lowest_rate
  Egress* egress = nullptr;       // null: no limit
  ServerCounts* counts = nullptr;

  // Whether so many bytes are too few for one interval of Timeouts::stall.
  bool is_too_slow(std::uint64_t bytes) const {
    const auto seconds = std::chrono::duration<double>(timeouts.stall).count();
    return static_cast<double>(bytes) < static_cast<double>(lowest_rate) * seconds;
  }
};

}  // namespace larder::server
