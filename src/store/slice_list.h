// SliceList: the stored slices of one large generation, sorted by index, in 16 bytes beside the
// slices themselves. There is one per large object in the index, so it keeps no capacity: that
// follows from the count. Not thread-safe, not copied; the index owns and frees it.
#pragma once

#include <cstdint>
#include <span>

namespace larder::store {

// A stored slice. Two halves keep it at 12 bytes: there are millions.
struct StoredSlice {
  std::uint32_t index;
  std::uint32_t checksum_low;
  std::uint32_t checksum_high;

  StoredSlice(std::uint32_t at, std::uint64_t checksum)
      : index(at),
        checksum_low(static_cast<std::uint32_t>(checksum)),
        checksum_high(static_cast<std::uint32_t>(checksum >> 32)) {}
  std::uint64_t checksum() const {
    return static_cast<std::uint64_t>(checksum_high) << 32 | checksum_low;
  }
};

struct SliceList {
  StoredSlice* slices = nullptr;
  std::uint32_t count = 0;

  std::span<const StoredSlice> view() const { return {slices, count}; }
  // Null when absent.
  const StoredSlice* find(std::uint32_t index) const;
  // Of two with one index the later counts. True when the slice is new.
  bool add(std::uint32_t index, std::uint64_t checksum);
  // False when it was not there.
  bool drop(std::uint32_t index);
  void release();  // frees the memory; the list is empty afterwards
};

}  // namespace larder::store
