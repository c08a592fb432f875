// A bounded table of what is known of the keys that came up lately: the one that has not for the
// longest time is forgotten first. Not thread-safe.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

#include "store/object.h"

namespace larder::cache {

template <typename Value>
class RecentKeys {
 public:
  explicit RecentKeys(std::size_t most) : most_(most) {}

  // The value of the key, which is the latest now; a new one is Value().
  Value& touch(const store::Key& key) {
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return recent_.front().second;
    }
    if (recent_.size() == most_) {
      by_key_.erase(recent_.back().first);
      recent_.pop_back();
    }
    recent_.emplace_front(key, Value());
    by_key_.emplace(key, recent_.begin());
    return recent_.front().second;
  }
  // Null when the key is not known.
  const Value* find(const store::Key& key) const {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : &found->second->second;
  }
  void forget(const store::Key& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    recent_.erase(found->second);
    by_key_.erase(found);
  }

 private:
  using List = std::list<std::pair<store::Key, Value>>;
  const std::size_t most_;
  List recent_;  // the latest first
  std::unordered_map<store::Key, typename List::iterator, store::KeyHash> by_key_;
};

}  // namespace larder::cache
