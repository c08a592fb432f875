#include "cache/hit_for_miss.h"

namespace larder::cache {

void HitForMiss::note(const store::Key& key, Of of, base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second);
    Entry& entry = recent_.front();
    // A part that is refused says nothing of the whole.
    (of == Of::All ? entry.all_until : entry.ranges_until) = now + kLasts;
    return;
  }
  if (recent_.size() == kMostKeys) {
    by_key_.erase(recent_.back().key);
    recent_.pop_back();
  }
  recent_.push_front({key, now, now});
  (of == Of::All ? recent_.front().all_until : recent_.front().ranges_until) = now + kLasts;
  by_key_[key] = recent_.begin();
}

void HitForMiss::forget(const store::Key& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  recent_.erase(found->second);
  by_key_.erase(found);
}

bool HitForMiss::covers(const store::Key& key, bool has_range, base::SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return false;
  const Entry& entry = *found->second;
  return now < entry.all_until || (has_range && now < entry.ranges_until);
}

}  // namespace larder::cache
