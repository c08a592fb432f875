// A line in which everybody gets the same number of bytes in the long run, however many each asks
// for at a time (weighted fair queueing with equal weights): whose bytes would be served first if
// all were served at once, byte by byte, goes first. So who wants little does not wait for those
// who want much, and who comes anew is not owed what it did not ask for. Not thread-safe.
//
// Who has had much before there were many to share with is not kept waiting for all of that: see
// set_reach().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace larder::server {

// How far one who shares has come: the time, counted in bytes each has had, at which its last ones
// were due.
struct FairShare {
  double due = 0;
};

template <typename Item>
class FairQueue {
 public:
  struct Turn {
    Item* item;
    double start;  // when its bytes began to be due
  };

  bool empty() const { return line_.empty(); }
  std::size_t size() const { return line_.size(); }

  // From now on nobody is further than so many bytes ahead of the others, or lines up for more. For
  // less than half of what it was, this looks at everybody in line.
  void set_reach(std::uint64_t bytes) {
    reach_ = static_cast<double>(bytes);
    if (reach_ * 2 >= applied_) {
      applied_ = std::max(applied_, reach_);
      return;
    }
    applied_ = reach_;
    for (Waiting& waiting : line_) {
      waiting.start = std::min(waiting.start, time_ + reach_);
      waiting.due = std::min(waiting.due, waiting.start + reach_);
    }
    std::make_heap(line_.begin(), line_.end(), is_later);
  }

  // When the next bytes of that share begin to be due.
  double start(FairShare share) const {
    return std::clamp(share.due, time_ - reach_, time_ + reach_);
  }
  // Whether so many bytes from `start` on would be due before those of everybody in line.
  bool would_be_first(double start, std::uint64_t bytes) const {
    return line_.empty() || start + static_cast<double>(bytes) < line_.front().due;
  }

  // `item` stays where it is until it is popped; it is in line once.
  void push(Item& item, FairShare share, std::uint64_t bytes) {
    const double from = start(share);
    line_.push_back({from + static_cast<double>(bytes), from, ++pushed_, &item});
    std::push_heap(line_.begin(), line_.end(), is_later);
  }
  // Requires: !empty(), here and below.
  const Item& front() const { return *line_.front().item; }
  Turn pop() {
    std::pop_heap(line_.begin(), line_.end(), is_later);
    const Waiting first = line_.back();
    line_.pop_back();
    return {first.item, first.start};
  }
  // `share` was given so many bytes, due from `start` on, while `sharers` (with it) wanted some.
  void charge(FairShare& share, double start, std::uint64_t bytes, std::size_t sharers) {
    share.due = start + static_cast<double>(bytes);
    time_ = time_ + static_cast<double>(bytes) / static_cast<double>(sharers);
  }

 private:
  struct Waiting {
    double due;
    double start;
    std::uint64_t number;  // who came first, of those due at the same time
    Item* item;
  };
  static bool is_later(const Waiting& a, const Waiting& b) {
    return a.due != b.due ? a.due > b.due : a.number > b.number;
  }
  double time_ = 0;
  double reach_ = 0;
  double applied_ = 0;  // nobody in line is further ahead than that
  std::uint64_t pushed_ = 0;
  std::vector<Waiting> line_;  // a heap
};

}  // namespace larder::server
