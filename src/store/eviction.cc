#include "store/eviction.h"

#include <algorithm>

#include "store/index.h"

namespace larder::store {
namespace {

// Slots looked at under one lock.
constexpr std::uint32_t kStep = 64;

}  // namespace

std::uint32_t eviction_age(std::uint16_t epochs, bool was_hit) {
  return std::min<std::uint32_t>(was_hit ? epochs : 2U * epochs, 255);
}

std::optional<std::uint32_t> AgeCounts::limit_for(std::uint64_t wanted) const {
  std::optional<std::uint32_t> limit;
  std::uint64_t sum = 0;
  for (std::uint32_t age = 256; age-- > 0 && sum < wanted;) {
    if (bytes[age] == 0) continue;
    sum += bytes[age];
    limit = age;
  }
  return limit;
}

bool EvictionRule::concerns(const Entry& entry) const {
  return entry.is_taken && entry.drive == drive && !entry.is_pinned && entry.id != keep &&
         (!group || entry.group == *group);
}

bool Evictor::count(Index& index, std::uint64_t keep) {
  AgeCounts ages;
  IndexPosition at;
  do {
    // Beyond all ages: nothing goes.
    static_cast<void>(index.evict(
        at, kStep, {.drive = drive_, .from_age = 256, .keep = keep, .group = group_}, ages));
  } while (at.shard != 0 || at.slot != 0);
  const std::uint64_t wanted = std::max<std::uint64_t>(1, size_.load() / 16);
  const auto limit = ages.limit_for(wanted);
  if (!limit) return false;
  limit_ = *limit;
  left_ = wanted;
  counted_at_ = index.now();
  return true;
}

std::optional<Removed> Evictor::next(Index& index, std::uint64_t keep) {
  const std::lock_guard lock(mutex_);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (left_ == 0 && !count(index, keep)) return std::nullopt;
    // What was too young when it was counted is not to grow into the limit meanwhile.
    const auto passed = static_cast<std::uint16_t>(index.now() - counted_at_);
    const std::uint32_t limit = std::min<std::uint32_t>(limit_ + 2U * passed, 255);
    // Once around: the rest of this round, and what the hand has passed before.
    for (int ends = 0; ends < 2;) {
      IndexPosition at{shard_, slot_};
      AgeCounts ignored;
      auto victim = index.evict(
          at, kStep, {.drive = drive_, .from_age = limit, .keep = keep, .group = group_}, ignored);
      shard_ = at.shard;
      slot_ = at.slot;
      if (victim) {
        left_ -= std::min(left_, victim->cost);
        return victim;
      }
      if (at.shard == 0 && at.slot == 0) ++ends;
    }
    left_ = 0;
  }
  return std::nullopt;
}

}  // namespace larder::store
