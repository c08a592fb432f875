#include "node/invalidations.h"

namespace larder::node {

void Invalidations::note(std::span<const store::Key> keys, base::WallTime now) {
  const std::lock_guard lock(mutex_);
  if (noted_.size() + keys.size() > kMost) {
    std::erase_if(noted_, [now](const auto& entry) { return entry.second < now - kKept; });
  }
  if (noted_.size() + keys.size() > kMost) {
    noted_.clear();
    all_ = now;
    return;
  }
  for (const store::Key& key : keys) noted_[key] = now;
}

bool Invalidations::since(const store::Key& key, base::WallTime sent) const {
  const std::lock_guard lock(mutex_);
  if (all_ >= sent) return true;
  const auto found = noted_.find(key);
  return found != noted_.end() && found->second >= sent;
}

}  // namespace larder::node
