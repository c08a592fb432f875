#include "cache/fill_memory.h"

#include <algorithm>

namespace larder::cache {

bool FillMemory::take(std::uint64_t bytes, Origin::FetchId waiting) {
  const std::lock_guard lock(mutex_);
  if (used_ + bytes > limit_) {
    if (std::find(waiting_.begin(), waiting_.end(), waiting) == waiting_.end()) {
      waiting_.push_back(waiting);
    }
    return false;
  }
  used_ += bytes;
  return true;
}

void FillMemory::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
  if (origin_ == nullptr || waiting_.empty()) return;
  // All of them when memory is plenty again: one that has ended meanwhile must not use up the only
  // call.
  const std::uint64_t fitting =
      std::max<std::uint64_t>(1, (limit_ - used_) / std::max<std::uint64_t>(bytes, 1));
  const std::size_t count =
      is_scarce() ? std::min<std::uint64_t>(waiting_.size(), fitting) : waiting_.size();
  for (std::size_t i = 0; i < count; ++i) origin_->resume(waiting_[i]);
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
}

void FillMemory::close() {
  const std::lock_guard lock(mutex_);
  origin_ = nullptr;
  waiting_.clear();
}

}  // namespace larder::cache
