// Keys whose origin lately gave an answer that may not be shared: who asks for one of them does so
// alone and at once, instead of waiting for somebody else's answer that would help nobody.
//
// Ends by itself after a few seconds without another such answer, and as soon as one could have
// been shared. Thread-safe; the time is passed in.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>

#include "base/clock.h"
#include "cache/recent_keys.h"
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
    base::SteadyTime all_until = base::SteadyTime::min();
    base::SteadyTime ranges_until = base::SteadyTime::min();
  };
  mutable std::mutex mutex_;
  RecentKeys<Entry> known_{kMostKeys};  // guarded by mutex_
};

}  // namespace larder::cache
