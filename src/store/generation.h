// Generation: what the index knows of a stored object, all of it in memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "store/journal_format.h"
#include "store/object.h"

namespace larder::store {

class Drive;

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

struct Generation {
  Generation(Drive* on, std::uint64_t number, const Key& of, std::uint64_t bytes,
             const Location& at)
      : drive(on), id(number), key(of), length(bytes), location(at) {}
  // A removed generation gives its space back to the drive here: nobody can read it any more.
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  bool is_packed() const { return location.segment != 0; }
  // Bytes charged to the drive. Requires: the index's lock, or the last reference.
  std::uint64_t cost() const;

  // Keeps the slices sorted; of two with one index the later counts. Requires: the index's lock.
  // True when the slice is new.
  bool add_slice(std::uint32_t index, std::uint64_t checksum);
  bool drop_slice(std::uint32_t index);
  const StoredSlice* find_slice(std::uint32_t index) const;
  std::uint64_t stored_bytes() const;

  Drive* const drive;  // null in tests of the replay alone
  const std::uint64_t id;
  const Key key;
  const std::uint64_t length;
  const Location location;
  std::atomic<bool> was_hit = false;      // the clock bit of eviction
  std::atomic<bool> was_removed = false;  // set under the index's lock, once
  std::atomic<bool> is_recorded = false;  // its creation is in the journal
  // Guarded by the index's lock.
  std::vector<StoredSlice> slices;
  std::weak_ptr<Object> open;
};

}  // namespace larder::store
