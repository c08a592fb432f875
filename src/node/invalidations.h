// What unsafe requests have changed lately: an answer that was asked for before such a change must
// not be stored after it, and so outlive it.
//
// Thread-safe. Bounded: when too much changes at once, everything counts as changed.
#pragma once

#include <cstddef>
#include <mutex>
#include <span>
#include <unordered_map>

#include "base/clock.h"
#include "store/object.h"

namespace larder::node {

class Invalidations {
 public:
  static constexpr std::size_t kMost = 1024;
  // No fetch waits longer than this for its head.
  static constexpr std::chrono::minutes kKept{5};

  void note(std::span<const store::Key> keys, base::WallTime now);
  // Whether the key was noted at that time or later.
  bool since(const store::Key& key, base::WallTime sent) const;

 private:
  struct Hash {
    std::size_t operator()(const store::Key& key) const { return key.low; }
  };
  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<store::Key, base::WallTime, Hash> noted_;
  base::WallTime all_ = base::WallTime::min();
};

}  // namespace larder::node
