#include "cache/fetch_retries.h"

#include <algorithm>

namespace larder::cache {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirst{250};

// With a jitter of a quarter, so that fills that were broken together do not return together.
milliseconds wait_after(int failures, std::uint32_t random) {
  if (failures <= 1) return milliseconds(0);
  const std::int64_t whole = kFirst.count() << (failures - 2);
  return milliseconds(whole - whole / 4 * (random % 1024) / 1024);
}

}  // namespace

void FetchRetries::failed(base::SteadyTime begun, base::SteadyTime now, std::uint32_t random) {
  if (failures_ > 0 && begun < last_) return;
  failures_ = std::min(failures_ + 1, kMost);
  received_ = 0;
  last_ = now;
  next_ = now + (failures_ == kMost ? milliseconds(kRest) : wait_after(failures_, random));
}

}  // namespace larder::cache
