#include "node/store_refusals.h"

namespace larder::node {

void StoreRefusals::note(const store::Key& key, Refusal refusal) {
  const std::lock_guard lock(mutex_);
  const auto [entry, is_new] = by_key_.insert_or_assign(key, refusal);
  if (!is_new) return;
  order_.push_back(key);
  if (order_.size() <= kMost) return;
  by_key_.erase(order_.front());
  order_.pop_front();
}

std::optional<StoreRefusals::Refusal> StoreRefusals::find(const store::Key& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  return found->second;
}

}  // namespace larder::node
