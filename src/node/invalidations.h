// What purges and unsafe requests have changed lately: an answer that was asked for before such a
// change must not be stored after it, and so outlive it. Whoever stores an answer looks here once
// more when it is stored, because the change may have come between.
//
// Thread-safe. Bounded: when too much changes at once, everything counts as changed.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "store/object.h"

namespace larder::node {

// What an answer is to be stored as.
struct StoredPlace {
  store::Key url;           // of the URL, also for its variants
  std::string_view name;    // the text of its key
  std::string_view origin;  // name of its table
};

class Invalidations {
 public:
  static constexpr std::size_t kMost = 1024;  // of each kind
  // What is older may be forgotten: whatever was asked for before then counts as changed.
  static constexpr std::chrono::minutes kKept{5};

  void note(std::span<const store::Key> urls, base::WallTime now);
  void note_prefix(std::string_view prefix, base::WallTime now);
  void note_origin(std::string_view origin, base::WallTime now);
  // Whether the place was changed at that time or later.
  bool since(const StoredPlace& place, base::WallTime sent) const;

 private:
  struct Hash {
    std::size_t operator()(const store::Key& key) const { return key.low; }
  };
  using Names = std::map<std::string, base::WallTime, std::less<>>;
  template <typename Table>
  bool make_room(Table& table, std::size_t more, base::WallTime now);
  void note_name(Names& names, std::string_view name, base::WallTime now);

  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<store::Key, base::WallTime, Hash> urls_;
  Names prefixes_;
  Names origins_;
  base::WallTime all_ = base::WallTime::min();
};

}  // namespace larder::node
