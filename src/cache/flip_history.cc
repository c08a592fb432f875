#include "cache/flip_history.h"

namespace larder::cache {

namespace {

constexpr std::chrono::minutes kPeriod{10};

bool flips(const std::array<base::SteadyTime, 3>& changes, base::SteadyTime now) {
  return changes.back() != base::SteadyTime{} && now - changes.back() < kPeriod;
}

}  // namespace

bool FlipHistory::record(const store::Key& key, base::SteadyTime now) {
  Changes& changes = known_.touch(key);
  const bool did = flips(changes, now);
  changes = {now, changes[0], changes[1]};
  return !did && flips(changes, now);
}

bool FlipHistory::is_flipping(const store::Key& key, base::SteadyTime now) const {
  const Changes* changes = known_.find(key);
  return changes != nullptr && flips(*changes, now);
}

}  // namespace larder::cache
