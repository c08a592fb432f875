// How long a URL that was answered with 503 waits before it is asked for again. Pure: the times are
// passed in.
#pragma once

#include <chrono>
#include <optional>

#include "base/clock.h"

namespace larder::cli {

struct PrefetchRefusal {
  bool is_of_origin = false;  // that is in trouble; otherwise the node is too busy
  std::optional<std::chrono::seconds> retry_after{};
};

class PrefetchPatience {
 public:
  static constexpr int kAttempts = 5;
  static constexpr std::chrono::seconds kLongestBackOff{4};
  static constexpr std::chrono::seconds kLongestRetryAfter{60};
  // A node that is too busy is asked on as long as anything came, for whichever URL, within this.
  static constexpr std::chrono::seconds kStandstill{60};

  // Nothing: it has failed.
  std::optional<std::chrono::seconds> next(const PrefetchRefusal& refusal, base::SteadyTime now,
                                           base::SteadyTime last_progress);

 private:
  int refusals_ = 0;
};

}  // namespace larder::cli
