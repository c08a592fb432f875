// The memory that slices and streams on their way may take, over all fills: arriving, waiting for
// the disk, or kept because the disk refused them. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cache/origin.h"

namespace larder::cache {

class FillMemory {
 public:
  enum class Use {
    Slice,
    // The slice that a fetch goes on in, for one that it holds until then. A part of the limit is
    // for these alone: fetches that hold all of the rest and each need one more would wait for each
    // other. It comes back soon, with the slice before.
    Spare,
    // Answers without a length take at most half together, so that they never stop the others; and
    // those that are kept to be stored leave a part of that half to those that are only passed on.
    KeptStream,
    PassedStream,
  };

  // Requires: `limit` is two slices at least, for fetches that get from one to the next.
  FillMemory(Origin& origin, std::uint64_t limit) : origin_(&origin), limit_(limit) {}

  // False when there is no room: that fetch is resumed when there is some, one that waits for a
  // spare slice first. (A kept stream need not wait, it is passed on; nobody is resumed for it.)
  bool take(std::uint64_t bytes, Origin::FetchId waiting, Use use = Use::Slice);
  // That fetch has ended and waits no more; the next one gets its turn.
  void leave(Origin::FetchId waiting);
  // A spare slice is given back as any other.
  void give_back(std::uint64_t bytes, Use use = Use::Slice);
  // More than half is taken: nothing is kept that can be fetched again.
  bool is_scarce() const { return used_.load(std::memory_order_relaxed) > limit_ / 2; }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  // The origin is going: nobody is resumed any more.
  void close();

 private:
  struct Waiter {
    Origin::FetchId fetch;
    std::uint64_t bytes;
    Use use;
  };
  // Called with mutex_ held.
  bool fits_locked(std::uint64_t bytes, Use use, std::uint64_t promised) const;
  void resume_locked();

  Origin* origin_;  // guarded by mutex_; null after close
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};  // streams included
  std::mutex mutex_;                    // guards what follows
  std::uint64_t streams_ = 0;
  std::vector<Waiter> waiting_;
};

// One slice on its way from the origin. Written by one fetch at a time, read by anybody.
struct SliceBuffer {
  // Requires: `memory->take(slice_length)`.
  SliceBuffer(std::uint64_t slice_length, std::shared_ptr<FillMemory> from)
      : bytes(std::make_unique_for_overwrite<std::uint8_t[]>(slice_length)),
        length(slice_length),
        memory(std::move(from)) {}
  ~SliceBuffer() { memory->give_back(length); }
  SliceBuffer(const SliceBuffer&) = delete;
  SliceBuffer& operator=(const SliceBuffer&) = delete;

  bool is_complete() const { return filled.load(std::memory_order_acquire) == length; }

  std::unique_ptr<std::uint8_t[]> bytes;
  const std::uint64_t length;
  std::atomic<std::uint64_t> filled{0};  // bytes that may be read
  // A fetch feeds it. False with bytes missing: another one must take over, which readers ask for.
  std::atomic<bool> is_fed{true};
  const std::shared_ptr<FillMemory> memory;
};

}  // namespace larder::cache
