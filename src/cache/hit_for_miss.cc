#include "cache/hit_for_miss.h"

namespace larder::cache {

void HitForMiss::note(const store::Key& key, Of of, base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  Entry& entry = known_.touch(key);
  // A part that is refused says nothing of the whole.
  (of == Of::All ? entry.all_until : entry.ranges_until) = now + kLasts;
}

void HitForMiss::forget(const store::Key& key) {
  const std::lock_guard lock(mutex_);
  known_.forget(key);
}

bool HitForMiss::covers(const store::Key& key, bool has_range, base::SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  const Entry* entry = known_.find(key);
  return entry != nullptr && (now < entry->all_until || (has_range && now < entry->ranges_until));
}

}  // namespace larder::cache
