// Keys whose origin lately gave an answer that may not be shared: who asks for one of them does so
// alone and at once, instead of waiting for somebody else's answer that would help nobody.
//
// Ends by itself after a few seconds without another such answer, and as soon as one could have
// been shared. Thread-safe; the time is passed in.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <mutex>
#include <unordered_map>

#include "base/clock.h"
#include "store/object.h"

namespace larder::cache {

class HitForMiss {
 public:
  static constexpr std::size_t kMostKeys = 4096;  // then the oldest is forgotten
  static constexpr std::chrono::seconds kLasts{10};

  enum class Of {
    All,
    Ranges,  // a whole answer may be shared, parts cannot be put together
  };

  // Such an answer came.
  void note(const store::Key& key, Of of, base::SteadyTime now);
  // One came that may be shared.
  void forget(const store::Key& key);
  // Whether a request for the key is its own.
  bool covers(const store::Key& key, bool has_range, base::SteadyTime now) const;

 private:
  struct Entry {
    store::Key key;
    base::SteadyTime all_until;
    base::SteadyTime ranges_until;
  };
  struct KeyHash {
    std::size_t operator()(const store::Key& key) const { return key.low; }
  };
  mutable std::mutex mutex_;  // guards what follows
  std::list<Entry> recent_;   // the latest first
  std::unordered_map<store::Key, std::list<Entry>::iterator, KeyHash> by_key_;
};

}  // namespace larder::cache
