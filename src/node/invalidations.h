// What purges and unsafe requests have changed lately: an answer that was asked for before such a
// change must not be stored after it, and so outlive it. Whoever stores an answer looks here once
// more when it is stored, because the change may have come between.
//
// Before and after are told by a count of the changes, not by a clock. Thread-safe. Bounded: what
// was changed long before is forgotten, and counts as a change of everything.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

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
  static constexpr std::size_t kMost = 1024;  // of each kind; at one call no more than half of it
  // How many changes there were before.
  using Moment = std::uint64_t;

  // To be taken before an answer is asked for.
  Moment now() const { return now_.load(std::memory_order_acquire); }
  // Each returns the moment just after the change.
  Moment note(std::span<const store::Key> urls);
  Moment note_prefix(std::string_view prefix);
  Moment note_origin(std::string_view origin);
  // Whether the place was changed after that moment.
  bool since(const StoredPlace& place, Moment moment) const;

 private:
  using Names = std::map<std::string, Moment, std::less<>>;
  template <typename Table>
  void make_room(Table& table, std::size_t more);
  Moment note_name(Names& names, std::string_view name);

  std::atomic<Moment> now_ = 0;
  mutable std::mutex mutex_;  // guards what follows; now_ moves only under it
  std::unordered_map<store::Key, Moment, store::KeyHash> urls_;
  Names prefixes_;
  Names origins_;
  Moment forgotten_ = 0;  // the latest change that is not in the tables
};

}  // namespace larder::node
