// When a fill may ask its origin again after fetches have failed. Pure: times and random numbers
// are passed in. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace larder::cache {

class FetchRetries {
 public:
  // Failures without progress between them after which readers are told.
  static constexpr int kMost = 6;
  // After that many the origin is left alone for so long.
  static constexpr std::chrono::seconds kRest{10};
  // Less than this is no progress: an origin that breaks off every time is not asked for ever.
  static constexpr std::uint64_t kProgress = 128 * 1024;

  // A fetch that was begun at that time has failed; `random` is any number. What was begun before
  // the last failure was ended by the same hiccup of the origin: it does not count once more.
  void failed(base::SteadyTime begun, base::SteadyTime now, std::uint32_t random);
  // Bytes that were missing came.
  void received(std::uint64_t bytes) {
    if (failures_ == 0) return;
    received_ += bytes;
    if (received_ >= kProgress) succeeded();
  }
  // A whole slice came.
  void succeeded() { *this = {}; }

  bool is_exhausted(base::SteadyTime now) const { return failures_ >= kMost && now < next_; }
  // Another attempt has failed already: one fetch at a time finds out whether the origin is well.
  bool is_probing() const { return failures_ > 1; }
  // Whether one more failure leaves another attempt.
  bool has_spare() const { return failures_ + 1 < kMost; }
  // When the last one failed that counted.
  base::SteadyTime last() const { return last_; }
  // From then on a fetch may begin: at once after the first failure, then after a quarter of a
  // second, doubled each time.
  base::SteadyTime next() const { return next_; }

 private:
  int failures_ = 0;
  std::uint64_t received_ = 0;  // since the last one
  base::SteadyTime last_{};
  base::SteadyTime next_{};
};

}  // namespace larder::cache
