#include "cache/fill_memory.h"

#include <algorithm>

namespace larder::cache {

bool FillMemory::fits(std::uint64_t bytes, Use use) const {
  if (used_ + bytes > limit_) return false;
  switch (use) {
    case Use::Slice:
      return true;
    case Use::KeptStream:
      return streams_ + bytes <= limit_ / 8 * 3;
    case Use::PassedStream:
      return streams_ + bytes <= limit_ / 2;
  }
  return false;
}

bool FillMemory::take(std::uint64_t bytes, Origin::FetchId waiting, Use use) {
  const std::lock_guard lock(mutex_);
  if (!fits(bytes, use)) {
    const bool waits = std::any_of(waiting_.begin(), waiting_.end(),
                                   [&](const Waiter& waiter) { return waiter.fetch == waiting; });
    if (!waits && use != Use::KeptStream) waiting_.push_back({waiting, bytes, use});
    return false;
  }
  used_ += bytes;
  if (use != Use::Slice) streams_ += bytes;
  return true;
}

void FillMemory::give_back(std::uint64_t bytes, Use use) {
  if (bytes == 0) return;
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
  if (use != Use::Slice) streams_ -= bytes;
  if (origin_ == nullptr) return;
  // All of them when memory is plenty again: one that has ended meanwhile must not use up the only
  // call.
  std::uint64_t room = is_scarce() ? limit_ - used_ : UINT64_MAX;
  std::erase_if(waiting_, [&](const Waiter& waiter) {
    if (waiter.bytes > room || !fits(waiter.bytes, waiter.use)) return false;
    room -= waiter.bytes;
    origin_->resume(waiter.fetch);
    return true;
  });
}

void FillMemory::close() {
  const std::lock_guard lock(mutex_);
  origin_ = nullptr;
  waiting_.clear();
}

}  // namespace larder::cache
