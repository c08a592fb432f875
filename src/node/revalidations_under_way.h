// The stored objects about which the origin is asked while their stale form is served: each once at
// a time, from before it is asked until what it said is written down. Thread-safe.
#pragma once

#include <cstddef>
#include <mutex>
#include <unordered_set>

#include "store/object.h"

namespace larder::node {

class RevalidationsUnderWay {
 public:
  static constexpr std::size_t kMost = 64;

  // False when one of that object is under way, or too many others. Otherwise end() must follow.
  bool begin(const store::Key& key) {
    const std::lock_guard lock(mutex_);
    return keys_.size() < kMost && keys_.insert(key).second;
  }
  void end(const store::Key& key) {
    const std::lock_guard lock(mutex_);
    keys_.erase(key);
  }

 private:
  std::mutex mutex_;
  std::unordered_set<store::Key, store::KeyHash> keys_;  // guarded by mutex_
};

}  // namespace larder::node
