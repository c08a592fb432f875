// How much of an object may be asked for before it is here: a window in bytes that grows while the
// path carries more because of it. Not thread-safe; the time is passed in.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace larder::cache {

class FillWindow {
 public:
  static constexpr std::uint64_t kSmallest = 2 << 20;
  static constexpr std::uint64_t kFirst = 4 << 20;
  static constexpr std::uint64_t kLargest = 64 << 20;

  explicit FillWindow(std::uint64_t bytes = kFirst);

  std::uint64_t bytes() const { return bytes_; }
  // Of one fetch: large enough that the trip of its request hardly counts, small enough that
  // several connections share the window.
  std::uint64_t chunk() const;

  // From a request to the head of its answer: a change shows after some of these.
  void answered(std::chrono::steady_clock::duration latency);
  // Bytes of the object came in. `is_full`: the window was what kept more from being asked for;
  // otherwise the rate says nothing about it.
  void received(std::uint64_t bytes, bool is_full, base::SteadyTime now);

 private:
  enum class State { Measuring, Settling, Probing, Settled };
  void decide(double rate, base::SteadyTime now);
  void begin(State state, base::SteadyTime now);

  std::uint64_t bytes_;
  std::chrono::steady_clock::duration latency_{std::chrono::milliseconds(50)};
  State state_ = State::Measuring;
  base::SteadyTime begun_{};  // of this measurement
  base::SteadyTime settled_{};
  std::uint64_t received_ = 0;
  bool was_full_ = true;
  double rate_ = 0;  // bytes a second with the window before it grew
};

}  // namespace larder::cache
