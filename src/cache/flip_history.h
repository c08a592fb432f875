// Objects that change while they are fetched: networks whose edges disagree about an object's
// validator make every second answer another generation. After three changes in ten minutes such an
// object is fetched as one response. Not thread-safe; the time is passed in.
#pragma once

#include <array>
#include <cstddef>

#include "base/clock.h"
#include "cache/recent_keys.h"
#include "store/object.h"

namespace larder::cache {

class FlipHistory {
 public:
  static constexpr std::size_t kMostObjects = 4096;

  // The object turned out to be another generation in the middle of a fill. True when this is the
  // change that makes it flip.
  bool record(const store::Key& key, base::SteadyTime now);
  bool is_flipping(const store::Key& key, base::SteadyTime now) const;

 private:
  using Changes = std::array<base::SteadyTime, 3>;  // the latest first
  RecentKeys<Changes> known_{kMostObjects};
};

}  // namespace larder::cache
