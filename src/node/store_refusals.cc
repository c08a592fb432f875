#include "node/store_refusals.h"

namespace larder::node {

void StoreRefusals::note(const store::Key& key, Refusal refusal) {
  const std::lock_guard lock(mutex_);
  latest_.touch(key) = refusal;
}

std::optional<StoreRefusals::Refusal> StoreRefusals::find(const store::Key& key) const {
  const std::lock_guard lock(mutex_);
  const Refusal* found = latest_.find(key);
  if (found == nullptr) return std::nullopt;
  return *found;
}

}  // namespace larder::node
