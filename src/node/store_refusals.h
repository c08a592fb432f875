// Why the last answers that were not stored were not, by key: for whoever asks why an object is not
// in the cache. Bounded: of kMost keys, the latest. Thread-safe.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "store/object.h"

namespace larder::node {

class StoreRefusals {
 public:
  static constexpr std::size_t kMost = 4096;
  struct Refusal {
    std::string_view reason;  // static text
    base::WallTime at;
  };
  void note(const store::Key& key, Refusal refusal);
  std::optional<Refusal> find(const store::Key& key) const;

 private:
  struct Entry {
    store::Key key;
    Refusal refusal;
  };
  struct KeyHash {
    std::size_t operator()(const store::Key& key) const { return key.low; }
  };
  mutable std::mutex mutex_;  // guards what follows
  std::list<Entry> latest_;   // the latest first
  std::unordered_map<store::Key, std::list<Entry>::iterator, KeyHash> by_key_;
};

}  // namespace larder::node
