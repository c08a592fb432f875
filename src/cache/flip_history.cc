#include "cache/flip_history.h"

namespace larder::cache {

namespace {

constexpr std::chrono::minutes kPeriod{10};

bool flips(const std::array<base::SteadyTime, 3>& changes, base::SteadyTime now) {
  return changes.back() != base::SteadyTime{} && now - changes.back() < kPeriod;
}

}  // namespace

bool FlipHistory::record(const store::Key& key, base::SteadyTime now) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    if (recent_.size() == kMostObjects) {
      by_key_.erase(recent_.back().key);
      recent_.pop_back();
    }
    recent_.push_front({key, {now}});
    by_key_[key] = recent_.begin();
    return false;
  }
  recent_.splice(recent_.begin(), recent_, found->second);
  auto& changes = recent_.front().changes;
  const bool did = flips(changes, now);
  changes = {now, changes[0], changes[1]};
  return !did && flips(changes, now);
}

bool FlipHistory::is_flipping(const store::Key& key, base::SteadyTime now) const {
  const auto found = by_key_.find(key);
  return found != by_key_.end() && flips(found->second->changes, now);
}

}  // namespace larder::cache
