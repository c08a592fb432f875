// Why the last answers that were not stored were not, by key: for whoever asks why an object is not
// in the cache. Bounded: of kMost keys, the latest. Thread-safe.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "cache/recent_keys.h"
#include "store/object.h"

namespace larder::node {

class StoreRefusals {
 public:
  static constexpr std::size_t kMost = 4096;
  struct Refusal {
    std::string_view reason;  // static text
    base::WallTime at{};
  };
  void note(const store::Key& key, Refusal refusal);
  std::optional<Refusal> find(const store::Key& key) const;

 private:
  mutable std::mutex mutex_;
  cache::RecentKeys<Refusal> latest_{kMost};  // guarded by mutex_
};

}  // namespace larder::node
