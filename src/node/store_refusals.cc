#include "node/store_refusals.h"

namespace larder::node {

void StoreRefusals::note(const store::Key& key, Refusal refusal) {
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    *found->second = {key, refusal};
    latest_.splice(latest_.begin(), latest_, found->second);
    return;
  }
  latest_.push_front({key, refusal});
  by_key_.emplace(key, latest_.begin());
  if (latest_.size() <= kMost) return;
  by_key_.erase(latest_.back().key);
  latest_.pop_back();
}

std::optional<StoreRefusals::Refusal> StoreRefusals::find(const store::Key& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return found->second->refusal;
}

}  // namespace larder::node
