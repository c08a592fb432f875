#include "cli/prefetch_pace.h"

#include <algorithm>
#include <chrono>

namespace larder::cli {

namespace {

constexpr std::uint64_t kSlice = 1 << 20;
constexpr std::uint64_t kLongestPiece = 8 * kSlice;

}  // namespace

std::uint64_t PrefetchPace::piece() const {
  if (rate_ == 0) return kLongestPiece;
  return std::clamp(rate_ / 2 / kSlice * kSlice, kSlice, kLongestPiece);
}

base::SteadyTime::duration PrefetchPace::time_for(std::uint64_t bytes) const {
  if (rate_ == 0) return {};
  return std::chrono::duration_cast<base::SteadyTime::duration>(
      std::chrono::duration<double>(static_cast<double>(bytes) / static_cast<double>(rate_)));
}

base::SteadyTime PrefetchPace::take(std::uint64_t bytes, base::SteadyTime now) {
  // Time in which nobody asked is not made up for.
  const base::SteadyTime turn = std::max(next_, now);
  next_ = turn + time_for(bytes);
  return turn;
}

void PrefetchPace::settle(std::uint64_t taken, std::uint64_t came) {
  if (came < taken) {
    next_ -= time_for(taken - came);
  } else {
    next_ += time_for(came - taken);
  }
}

}  // namespace larder::cli
