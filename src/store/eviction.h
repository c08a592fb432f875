// Which generations go first when a drive needs space. Pure, apart from Evictor's lock.
//
// Each entry bears the epoch of its last use; an epoch is the time in which a 64th of all drives is
// written. Before a sixteenth of the drive is evicted, a look at all entries counts how many bytes
// have which age, which gives the age beyond which that sixteenth lies. A hand then goes round and
// gives up what is older. So what was hit lately stays, the least recently used goes first, and a
// hit costs no more than writing down the epoch. What was never hit since it came counts as twice
// as old: one pass over many objects does not drive out what is asked for often.
//
// The journals learn of uses as well, so that it is the same after a restart: the index remembers
// what was used, once in kEpochsPerNote epochs for each generation, and the upkeep of its drive
// writes it down.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

namespace larder::store {

class Index;
struct Entry;
struct Removed;

inline constexpr std::uint32_t kEpochsPerTurn = 64;
// The journal learns of uses once in so many epochs of each generation: what a restart forgets is
// less than what one look at all entries sorts out.
inline constexpr std::uint32_t kEpochsPerNote = 4;

// Ages as eviction sees them: 0 to 255.
std::uint32_t eviction_age(std::uint16_t epochs, bool was_hit);

// Bytes by eviction age.
struct AgeCounts {
  std::array<std::uint64_t, 256> bytes{};
  // The highest age such that at least `wanted` bytes are of this age or older; the lowest age that
  // occurs when there is less. Nothing when there is nothing.
  std::optional<std::uint32_t> limit_for(std::uint64_t wanted) const;
};

struct EvictionRule {
  std::uint32_t drive = 0;
  std::uint32_t from_age = 0;            // this age and older ones go
  std::uint64_t keep = 0;                // a generation that stays; 0: none
  std::optional<std::uint16_t> group{};  // only of this group

  // Pinned entries and those of others are not even counted.
  bool concerns(const Entry& entry) const;
};

// The hand of one drive, or of one group on one drive. Thread-safe.
class Evictor {
 public:
  // `size`: of the drive or of the group's quota, in bytes.
  Evictor(std::uint32_t drive, std::uint64_t size, std::optional<std::uint16_t> group = {})
      : drive_(drive), size_(size), group_(group) {}

  void set_size(std::uint64_t size) { size_ = size; }
  // The next victim, taken out of the index; nothing when all that is there is pinned or `keep`.
  std::optional<Removed> next(Index& index, std::uint64_t keep);

 private:
  // Sets the limit anew; false when nothing may go.
  bool count(Index& index, std::uint64_t keep);

  const std::uint32_t drive_;
  std::atomic<std::uint64_t> size_;
  const std::optional<std::uint16_t> group_;
  std::mutex mutex_;  // guards all below
  std::uint32_t shard_ = 0;
  std::uint32_t slot_ = 0;
  std::uint32_t limit_ = 0;       // the age from which on entries go
  std::uint64_t left_ = 0;        // bytes that may go under this limit
  std::uint16_t counted_at_ = 0;  // epoch
};

}  // namespace larder::store
