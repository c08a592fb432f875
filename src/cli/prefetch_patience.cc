#include "cli/prefetch_patience.h"

#include <algorithm>

namespace larder::cli {

using std::chrono::seconds;

std::optional<seconds> PrefetchPatience::next(const PrefetchRefusal& refusal, base::SteadyTime now,
                                              base::SteadyTime last_progress) {
  ++refusals_;
  const bool goes_on = !refusal.is_of_origin && now - last_progress < kStandstill;
  if (refusals_ >= kAttempts && !goes_on) return std::nullopt;
  const seconds back_off{1 << std::min(refusals_ - 1, 10)};
  const seconds asked = std::min(refusal.retry_after.value_or(seconds(0)), kLongestRetryAfter);
  return std::max(asked, std::min(back_off, kLongestBackOff));
}

}  // namespace larder::cli
