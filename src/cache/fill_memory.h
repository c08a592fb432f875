// The memory that slices on their way may take, over all fills: arriving, waiting for the disk, or
// kept because the disk refused them. Thread-safe.
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
  FillMemory(Origin& origin, std::uint64_t limit) : origin_(&origin), limit_(limit) {}

  // False when there is no room: that fetch is resumed when there may be some.
  bool take(std::uint64_t bytes, Origin::FetchId waiting);
  void give_back(std::uint64_t bytes);
  // More than half is taken: nothing is kept that can be fetched again.
  bool is_scarce() const { return used_.load(std::memory_order_relaxed) > limit_ / 2; }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  // The origin is going: nobody is resumed any more.
  void close();

 private:
  Origin* origin_;  // guarded by mutex_; null after close
  const std::uint64_t limit_;
  std::atomic<std::uint64_t> used_{0};
  std::mutex mutex_;
  std::vector<Origin::FetchId> waiting_;
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
