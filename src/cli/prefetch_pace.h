// Lets bytes through at a steady rate, for several who fetch at a time. Pure: the time is passed
// in.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace larder::cli {

class PrefetchPace {
 public:
  // `rate`: bytes a second; 0: no limit.
  PrefetchPace(std::uint64_t rate, base::SteadyTime start) : rate_(rate), next_(start) {}

  // Bytes to ask for at a time: half a second's worth, in whole slices, 1 to 8 MiB.
  std::uint64_t piece() const;
  // When so many bytes may be asked for: after those that were taken before.
  base::SteadyTime take(std::uint64_t bytes, base::SteadyTime now);
  // So many came for those that were taken.
  void settle(std::uint64_t taken, std::uint64_t came);
  // When all that was taken fits the rate.
  base::SteadyTime next() const { return next_; }

 private:
  base::SteadyTime::duration time_for(std::uint64_t bytes) const;

  std::uint64_t rate_;
  base::SteadyTime next_;
};

}  // namespace larder::cli
