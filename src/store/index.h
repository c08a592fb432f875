// Index: all generations that can be found, in memory, by key.
//
// What nobody uses is a packed Entry; who asks for it gets a Generation, of which there is one at a
// time. Thread-safe and never blocking: sharded, each shard under its own mutex, which also guards
// the slices and the open objects of its generations. No two shards are locked at once, nothing
// else is locked under them. Generations of groups that were purged (purge_below) are there until
// somebody removes them, and not found.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "store/entry_table.h"
#include "store/eviction.h"
#include "store/live_table.h"
#include "store/removed.h"

namespace larder::store {

class Drive;
struct Generation;

// Groups of objects are numbered from 0 (no group) up.
inline constexpr std::uint32_t kGroupLimit = 1024;

// A place in the order in which all entries are met once.
struct IndexPosition {
  std::uint32_t shard = 0;
  std::uint32_t slot = 0;
};

class Index {
 public:
  static constexpr std::uint32_t kShards = 256;
  static constexpr std::size_t kUsesLimit = 512;  // of each shard and drive

  // Drives by their numbers in entries. Before anything else.
  void set_drives(std::vector<Drive*> drives);

  bool contains(const Key& key) const;
  // What each find notes as a use.
  std::shared_ptr<Generation> find(const Key& key);
  std::shared_ptr<Object> find_open(const Key& key);

  // True while somebody has it open; no use.
  bool is_open(const Key& key) const;

  // Makes it the key's generation, with `object` open. What had the key is removed and returned; if
  // that is newer, the new one is.
  std::optional<Removed> insert(const std::shared_ptr<Generation>& generation,
                                const std::shared_ptr<Object>& object, std::uint32_t drive,
                                bool is_pinned);
  // Nothing when it was removed before.
  std::optional<Removed> erase(const Generation& generation);
  std::optional<Removed> erase(const Key& key);
  // Only when it still is that generation.
  std::optional<Removed> erase(const Key& key, std::uint64_t id);
  // Makes `object` the open object of its generation, or returns the one that is; null when the
  // generation was removed.
  std::shared_ptr<Object> attach(const std::shared_ptr<Object>& object);

  // Nothing, as a rule. When the generation was removed meanwhile: the bytes by which its cost
  // grew, which the drive is to expect back; whoever removed it did not know of the slice.
  std::optional<std::uint64_t> add_slice(Generation& generation, std::uint32_t index,
                                         std::uint64_t checksum);
  // False when it is gone already, or the generation was removed.
  bool drop_slice(Generation& generation, std::uint32_t index);
  std::optional<std::uint64_t> checksum(const Generation& generation, std::uint32_t index) const;
  // False when it is gone or was so before.
  bool set_pinned(const Key& key, std::uint64_t id, bool is_pinned);

  // The key's entry, if there is one, under the lock.
  template <typename Visitor>
  void look_at(const Key& key, Visitor&& visitor) const {
    const Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const std::uint32_t slot = shard.entries.find(key);
    if (slot != EntryTable::kNone) visitor(shard.entries.at(slot));
  }
  // Visits up to `count` slots from `at` on, under the lock of one shard, and moves `at` on. False
  // at the end of the order.
  bool visit(IndexPosition& at, std::uint32_t count,
             const std::function<void(const Entry&)>& visitor) const;
  // Takes out the first entry from `at` on that `rule` gives up, looking at up to `count` slots,
  // and notes the ages of those that it passes. `at` wraps to the start at the end.
  std::optional<Removed> evict(IndexPosition& at, std::uint32_t count, const EvictionRule& rule,
                               AgeCounts& ages);
  // The objects that are open or held.
  std::vector<std::shared_ptr<Object>> open_objects() const;

  // --- uses that the journals do not know of yet ---
  // The same use as by find, of a generation that somebody holds: under a lock only when the last
  // one was in another epoch.
  void note_use(const Object& object);
  // Moves what one shard knows of a drive's generations that were used to the end of `out`. It
  // remembers kUsesLimit of them; what is used beyond that is so when it is used again later.
  void take_uses(std::uint32_t shard, std::uint32_t drive, std::vector<std::uint64_t>& out);
  // How many there are, with those that were taken and of which uses_recorded was not yet told.
  std::uint64_t unrecorded_uses() const { return unrecorded_uses_; }
  void uses_recorded(std::uint64_t count) { unrecorded_uses_ -= count; }

  // --- time, in bytes written ---
  void set_epoch_size(std::uint64_t bytes) { epoch_size_ = bytes > 0 ? bytes : 1; }
  // True when kEpochsPerNote begin anew: what was used before is worth a record.
  bool advance(std::uint64_t bytes);
  std::uint16_t now() const { return now_.load(std::memory_order_relaxed); }  // the epoch
  std::uint16_t age_of(const Entry& entry) const {
    return static_cast<std::uint16_t>(now_.load(std::memory_order_relaxed) - entry.stamp);
  }

  // --- groups ---
  // Generations of the group with a lower id are not found any more.
  void purge_below(std::uint16_t group, std::uint64_t id);
  std::uint64_t purge_bound(std::uint16_t group) const {
    return purged_below_[group].load(std::memory_order_acquire);
  }
  bool is_purged(const Entry& entry) const { return entry.id < purge_bound(entry.group); }
  std::uint64_t group_cost(std::uint16_t group) const { return group_costs_[group]; }

  std::uint64_t objects() const { return objects_; }
  std::uint64_t slices() const { return slices_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t pinned_cost() const { return pinned_cost_; }

 private:
  friend class Replay;
  struct Shard {
    mutable std::mutex mutex;
    EntryTable entries;
    LiveTable live;
    std::vector<std::vector<std::uint32_t>> uses;  // by drive: slots, some of which are gone
  };

  Shard& shard_of(const Key& key) { return shards_[key.high % kShards]; }
  const Shard& shard_of(const Key& key) const { return shards_[key.high % kShards]; }
  // All below require the shard's lock.
  Removed take_out(Shard& shard, std::uint32_t slot);
  void note_use(Shard& shard, std::uint32_t slot);
  void note_changed_use(Shard& shard, std::uint32_t slot);
  void count(const Entry& entry, std::int64_t sign);
  bool add_slice_to(Entry& entry, std::uint32_t index, std::uint64_t checksum);
  bool drop_slice_of(Entry& entry, std::uint32_t index);
  bool pin(Entry& entry, bool is_pinned);

  std::array<Shard, kShards> shards_;
  std::vector<Drive*> drives_;
  std::array<std::atomic<std::uint64_t>, kGroupLimit> purged_below_{};
  std::array<std::atomic<std::uint64_t>, kGroupLimit> group_costs_{};
  std::atomic<std::uint64_t> objects_ = 0;
  std::atomic<std::uint64_t> slices_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::atomic<std::uint64_t> pinned_cost_ = 0;
  std::atomic<std::uint64_t> unrecorded_uses_ = 0;
  std::atomic<std::uint16_t> now_ = 1024;  // the epoch
  std::uint64_t epoch_size_ = 1 << 20;
  std::atomic<std::uint64_t> volume_ = 0;  // bytes written since the start
};

}  // namespace larder::store
