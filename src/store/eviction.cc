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

std::optional<Removed> Evictor::next(Index& index, std::uint64_t keep) {
  const std::lock_guard lock(mutex_);
  // The rest of a round, a whole one to count, and one that finds what the whole one has counted.
  for (int rounds = 0; rounds < 3;) {
    IndexPosition at{shard_, slot_};
    auto victim = index.evict(
        at, kStep, {.drive = drive_, .from_age = limit_, .keep = keep, .group = group_}, ages_);
    shard_ = at.shard;
    slot_ = at.slot;
    if (victim) return victim;
    if (at.shard != 0 || at.slot != 0) continue;
    ++rounds;
    limit_ = ages_.limit_for(size_ / 16).value_or(256);
    ages_ = {};
  }
  return std::nullopt;
}

}  // namespace larder::store
