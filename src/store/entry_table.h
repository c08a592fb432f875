// EntryTable: the generations of one shard of the index, packed: 48 bytes each and some 5 to 10
// for the hash of their keys. Millions of entries live as long as the store is open.
//
// Entries lie in chunks and never move, so a slot number stays good until its entry is erased; a
// scan in the order of slots meets each entry once. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "store/journal_format.h"
#include "store/layout.h"
#include "store/slice_list.h"

namespace larder::store {

inline constexpr std::uint64_t kGenerationLimit = 1ULL << 48;
inline constexpr std::uint32_t kDriveLimit = 32;

struct Entry {
  Key key;
  std::uint64_t id : 48;
  std::uint64_t stamp : 16;  // of the last use, in the index's epochs
  std::uint64_t length : 45;
  std::uint64_t slot_units : 8;
  std::uint64_t drive : 5;
  std::uint64_t is_taken : 1;
  std::uint64_t is_recorded : 1;  // its creation is in the journal
  std::uint64_t is_pinned : 1;
  std::uint64_t has_slice : 1;     // packed: the one slice is stored
  std::uint64_t was_hit : 1;       // ever since it was created
  std::uint64_t is_use_noted : 1;  // was_hit, and the journal knows of it or will soon
  union {
    std::uint64_t checksum;  // packed: of the one slice
    StoredSlice* slices;     // large: `number` of them
  };
  std::uint32_t number;  // packed: the segment; large: count of slices; free: the next free slot
  std::uint16_t group;
  std::uint16_t block;  // packed: in the segment

  bool is_packed() const { return is_packed_length(length); }
  Location location() const;
  std::uint32_t slice_count() const { return is_packed() ? has_slice : number; }
  std::uint64_t stored_bytes() const;
  // Bytes charged to the drive.
  std::uint64_t cost() const;
  // Of a large generation.
  SliceList list() const { return {slices, number}; }
  void set_list(const SliceList& list) {
    slices = list.slices;
    number = list.count;
  }
  // The checksum of a stored slice; false when it is not there.
  bool checksum_of(std::uint32_t index, std::uint64_t& out) const;
};
static_assert(sizeof(Entry) == 48);

class EntryTable {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  EntryTable() = default;
  EntryTable(const EntryTable&) = delete;
  EntryTable& operator=(const EntryTable&) = delete;
  ~EntryTable();

  // The slot of the key's entry; kNone when there is none.
  std::uint32_t find(const Key& key) const;
  // A new entry, empty but for its key. Requires: none of this key.
  std::uint32_t insert(const Key& key);
  void erase(std::uint32_t slot);

  Entry& at(std::uint32_t slot) { return chunks_[slot / kChunk][slot % kChunk]; }
  const Entry& at(std::uint32_t slot) const { return chunks_[slot / kChunk][slot % kChunk]; }
  // All slots are below; those not `is_taken` are free.
  std::uint32_t slots() const { return static_cast<std::uint32_t>(chunks_.size() * kChunk); }
  std::uint32_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kChunk = 64;

  std::size_t mask() const { return places_.size() - 1; }
  std::size_t next(std::size_t place) const { return (place + 1) & mask(); }
  std::size_t home_of(const Key& key) const;
  std::size_t place_of(const Key& key) const;
  void grow();
  std::uint32_t take_slot();

  std::vector<std::unique_ptr<Entry[]>> chunks_;
  std::vector<std::uint32_t> places_;  // slot + 1, 0: free; a power of two of them, or none
  std::uint32_t size_ = 0;
  std::uint32_t free_ = kNone;  // the first free slot
};

}  // namespace larder::store
