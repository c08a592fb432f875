// Whether the bytes of an answer still come fast enough from its origin. A Delivery Optimization
// client that gets fewer than 4000 bytes a second for 20 s avoids the node for every origin; one
// whose connection ends goes on at the origin and comes back. Pure: the times are passed in.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace larder::node {

class DeliveryPace {
 public:
  // Longest wait for an origin's next byte.
  static constexpr std::chrono::seconds kPatience{18};
  // What is told where sent() says false.
  static constexpr std::string_view kTooSlow = "the origin is too slow for this client";

  // `has_least_rate`: the client is one that gives up below the rate.
  void begin(base::SteadyTime now, bool has_least_rate) {
    last_ = window_start_ = now;
    window_bytes_ = 0;
    has_least_rate_ = has_least_rate;
  }
  // Until then the next byte must be there.
  base::SteadyTime deadline() const { return last_ + kPatience; }
  // So many bytes went to the client; false when it should rather go elsewhere.
  bool sent(std::uint64_t bytes, base::SteadyTime now) {
    last_ = now;
    window_bytes_ += bytes;
    if (!has_least_rate_ || now - window_start_ < kWindow) return true;
    const auto seconds = std::chrono::duration<double>(now - window_start_).count();
    const bool fast = static_cast<double>(window_bytes_) >= kLeastRate * seconds;
    window_start_ = now;
    window_bytes_ = 0;
    return fast;
  }

 private:
  static constexpr std::chrono::seconds kWindow{12};
  static constexpr double kLeastRate = 4000;  // bytes a second

  base::SteadyTime last_{};
  base::SteadyTime window_start_{};
  std::uint64_t window_bytes_ = 0;
  bool has_least_rate_ = false;
};

}  // namespace larder::node
