#include "cache/fill_memory.h"

#include <algorithm>

#include "store/object.h"

namespace larder::cache {

namespace {

// Of the limit, what only spare slices may take: a sixteenth, but one slice at least, and never
// what the first slice needs.
std::uint64_t reserve_of(std::uint64_t limit) {
  const std::uint64_t behind_first = limit - std::min(limit, store::kSliceSize);
  return std::min(std::max(limit / 16, store::kSliceSize), behind_first);
}

}  // namespace

bool FillMemory::fits_locked(std::uint64_t bytes, Use use, std::uint64_t promised) const {
  const std::uint64_t limit = use == Use::Spare ? limit_ : limit_ - reserve_of(limit_);
  if (used_ + promised + bytes > limit) return false;
  switch (use) {
    case Use::Slice:
    case Use::Spare:
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
  const bool fits = fits_locked(bytes, use, 0);
  auto listed = std::ranges::find(waiting_, waiting, &Waiter::fetch);
  if (listed != waiting_.end() && (fits || listed->use != use)) {
    waiting_.erase(listed);
    listed = waiting_.end();
  }
  if (!fits) {
    if (listed == waiting_.end() && use != Use::KeptStream) {
      const auto behind =
          use == Use::Spare
              ? std::ranges::find_if(
                    waiting_, [](Use other) { return other != Use::Spare; }, &Waiter::use)
              : waiting_.end();
      waiting_.insert(behind, {waiting, bytes, use});
    }
    return false;
  }
  used_ += bytes;
  if (use == Use::KeptStream || use == Use::PassedStream) streams_ += bytes;
  return true;
}

void FillMemory::leave(Origin::FetchId waiting) {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [waiting](const Waiter& waiter) { return waiter.fetch == waiting; });
  resume_locked();
}

void FillMemory::give_back(std::uint64_t bytes, Use use) {
  if (bytes == 0) return;
  const std::lock_guard lock(mutex_);
  used_ -= bytes;
  if (use == Use::KeptStream || use == Use::PassedStream) streams_ -= bytes;
  resume_locked();
}

void FillMemory::resume_locked() {
  if (origin_ == nullptr) return;
  // All of them when memory is plenty again: one that has ended meanwhile must not use up the only
  // call.
  const bool is_plenty = !is_scarce();
  std::uint64_t promised = 0;
  std::erase_if(waiting_, [&](const Waiter& waiter) {
    if (!fits_locked(waiter.bytes, waiter.use, promised)) return false;
    if (!is_plenty) promised += waiter.bytes;
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
