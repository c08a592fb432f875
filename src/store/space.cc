// Making space: eviction, removal, and the background pass over a drive.
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "store/generation.h"
#include "store/layout.h"
#include "store/snapshot.h"
#include "store/store_parts.h"

namespace larder::store {
namespace {

// Entries under one lock, and records of one write, while a journal is compacted.
constexpr std::uint32_t kStep = 64;
constexpr std::size_t kRecordsAtOnce = 8192;
// What a pass frees of a group that has more than its quota: the journal is synced in between.
constexpr std::uint64_t kQuotaStep = 1 << 30;
// How long a write waits for space that readers still hold.
constexpr std::chrono::milliseconds kPatience{100};
constexpr std::chrono::milliseconds kBetweenLooks{10};
// Threads that wait at once: hits whose bytes are not in memory need the others.
constexpr int kMostWaiting = 2;

}  // namespace

std::uint64_t Store::Parts::largest_drive() const {
  std::uint64_t largest = 0;
  for (const auto& drive : drives) largest = std::max(largest, drive->size());
  return largest;
}

Drive* Store::Parts::choose_drive(std::uint64_t length) const {
  Drive* best = nullptr;
  for (const auto& drive : drives) {
    if (drive->is_failing() || drive->is_hanging() || !drive->is_swept()) continue;
    if (drive->size() < length) continue;
    if (best == nullptr || drive->available() > best->available()) best = drive.get();
  }
  return best;
}

bool Store::Parts::retire(const Generation& generation) {
  auto removed = index.erase(generation);
  if (!removed) return false;
  finish_removal(std::move(*removed));
  return true;
}

base::Status Store::Parts::record_removal(Drive& drive, std::uint64_t generation) {
  const Operation operation(drive.operations());
  if (operation.is_refused()) return std::unexpected(drive.operations().hangs());
  const std::shared_lock gate(drive.compaction_gate());
  return drive.journal().append({.type = RecordType::Remove, .generation = generation});
}

void Store::Parts::finish_removal(Removed removed) {
  Drive& drive = *removed.drive;
  drive.expect_release(removed.cost);
  if (removed.is_recorded) {
    const auto appended = record_removal(drive, removed.id);
    // If the record is lost, the generation may come back after a restart, unless the journal is
    // written anew before. What must not come back is marked in the orders until then.
    if (!appended) {
      drive.record_lost();
      static_cast<void>(drive.write_failed(appended.error()));
    }
  }
  if (removed.live) {
    // Whoever lets go of it last hands the space back.
    open_table.drop(removed.id);
  } else {
    drive.release({.id = removed.id, .location = removed.location, .cost = removed.cost});
  }
}

void Store::Parts::abandon(Generation& generation) {
  generation.cost = cost_without_slices(generation.location, generation.length);
  generation.drive->expect_release(generation.cost);
  generation.was_removed = true;
}

bool Store::Parts::evict_one(Evictor& evictor, std::uint64_t keep, std::uint64_t& evicted) {
  auto victim = evictor.next(index, keep);
  if (!victim) return false;
  Drive& drive = *victim->drive;
  ++drive.counters().evicted_objects;
  drive.counters().evicted_bytes += victim->cost;
  evicted += victim->cost;
  finish_removal(std::move(*victim));
  if (!drive.is_hanging()) drive.free_released();
  return true;
}

std::shared_ptr<const Quotas> Store::Parts::all_quotas() const {
  const std::lock_guard lock(quotas_mutex);
  return quotas;
}

std::shared_ptr<Quota> Store::Parts::quota_of(std::uint16_t group) const {
  if (group == 0) return nullptr;
  const auto all = all_quotas();
  for (const auto& quota : *all) {
    if (quota->group == group) return quota;
  }
  return nullptr;
}

bool Store::Parts::make_room_in(const Quota& quota, Drive& drive, std::uint64_t bytes,
                                std::uint64_t keep) {
  std::uint64_t evicted = 0;
  while (index.group_cost(quota.group) + bytes > quota.bytes) {
    bool found = evict_one(*quota.evictors[drive.number()], keep, evicted);
    for (std::size_t other = 0; !found && other < quota.evictors.size(); ++other) {
      const Operation elsewhere(drives[other]->operations());
      if (elsewhere.is_refused()) continue;
      found = evict_one(*quota.evictors[other], keep, evicted);
    }
    if (!found) return false;
  }
  return true;
}

bool Store::Parts::make_room(Drive& drive, std::uint64_t bytes, std::uint16_t group,
                             std::uint64_t keep) {
  if (const auto quota = quota_of(group); quota && !make_room_in(*quota, drive, bytes, keep)) {
    return false;
  }
  if (drive.reserve(bytes)) return true;
  drive.free_released();
  if (drive.reserve(bytes)) return true;
  // What readers hold is not freed at once. One request must not empty the drive for that: it waits
  // a little for what is given up already, and gives up after evicting a small multiple of its
  // need.
  const Drive::Claim claim(drive, bytes);
  const std::uint64_t limit = 2 * bytes + 4 * kSliceSize;
  const auto give_up_waiting = std::chrono::steady_clock::now() + kPatience;
  for (std::uint64_t evicted = 0;;) {
    const bool has_waited = drive.is_enough_coming() &&
                            std::chrono::steady_clock::now() < give_up_waiting &&
                            wait_for_space(drive);
    if (!has_waited) {
      if (evicted >= limit) return false;
      if (!evict_one(drive.evictor(), keep, evicted)) {
        // Unless all that was there goes already, or somebody else's files fill the drive.
        const bool is_pinned = index.pinned_cost() > 0 && !drive.is_short();
        if (is_pinned && evicted == 0 && !drive.awaits_release()) {
          ++drive.counters().not_evictable;
        }
        return false;
      }
    }
    if (drive.reserve(bytes)) return true;
  }
}

// False when others wait already.
bool Store::Parts::wait_for_space(Drive& drive) {
  const bool may_wait = waiting_for_space.fetch_add(1) < kMostWaiting;
  if (may_wait) {
    ask_to_let_go();
    drive.wait_for_release(kBetweenLooks);
  }
  --waiting_for_space;
  return may_wait;
}

void Store::Parts::ask_to_let_go() {
  const std::lock_guard lock(let_go_mutex);
  if (let_go) let_go();
}

// Without the compaction gate: the index knew of the use before, so a snapshot that begins behind
// the record has it too, and a record that comes after the snapshot began is carried over.
void Store::Parts::record_uses(Drive& drive) {
  if (index.unrecorded_uses() == 0 || drive.is_failing()) return;
  std::vector<std::uint64_t> used;
  for (std::uint32_t shard = 0; shard < Index::kShards; ++shard) {
    index.take_uses(shard, drive.number(), used);
    const bool is_last = shard + 1 == Index::kShards;
    if (used.empty() || (used.size() < kRecordsAtOnce && !is_last)) continue;
    const auto appended = drive.journal().append_uses(used);
    index.uses_recorded(used.size());
    used.clear();
    if (!appended) {
      // They are forgotten unless they are used again later: no reason to keep them in memory.
      static_cast<void>(drive.write_failed(appended.error()));
      return;
    }
  }
}

void Store::Parts::apply_quotas(Drive& drive) {
  const auto all = all_quotas();
  for (const auto& quota : *all) {
    std::uint64_t evicted = 0;
    auto& exhausted = quota->exhausted[drive.number()];
    while (index.group_cost(quota->group) > quota->bytes && evicted < kQuotaStep) {
      const Quota::Exhausted now{index.group_cost(quota->group), index.pinned_cost()};
      if (exhausted == now) break;
      exhausted.reset();
      if (!evict_one(*quota->evictors[drive.number()], 0, evicted)) {
        exhausted = now;
        break;
      }
    }
    if (evicted >= kQuotaStep) drive.wake();
  }
}

void Store::Parts::maintain(Drive& drive, bool now_anyway) {
  const std::lock_guard one_at_a_time(drive.upkeep_mutex());
  drive.look();
  drive.try_again();
  record_uses(drive);
  drive.measure_room();
  drive.free_released();
  drive.note_awaited();
  std::uint64_t evicted = 0;
  // A long row of evictions must not keep uses from the journal.
  while (drive.shortage() > 0 && evict_one(drive.evictor(), 0, evicted)) record_uses(drive);
  if (evicted > 0 && drive.awaits_release()) ask_to_let_go();
  apply_quotas(drive);
  // One that is broken is tried by try_again alone, not each second.
  if (now_anyway || !drive.is_failing()) {
    if (const auto synced = drive.sync(now_anyway); !synced) {
      drive.record_lost();
      static_cast<void>(drive.write_failed(synced.error()));
    }
  }
  if (drive.wants_compaction() && drive.is_there()) compact(drive);
}

void Store::Parts::compact(Drive& drive) {
  const std::uint64_t lost = drive.lost_records();
  base::Status status;
  {
    // Whoever is between its record and its change of the index is let through first: afterwards
    // each record is in the snapshot of the index or carried over, or both.
    const std::unique_lock gate(drive.compaction_gate());
    status = drive.journal().begin_compaction();
  }
  std::vector<Record> records;
  IndexPosition at;
  bool is_at_end = false;
  while (status && !is_at_end) {
    is_at_end = !index.visit(at, kStep, [&](const Entry& entry) {
      if (entry.drive == drive.number() && entry.is_recorded) {
        add_snapshot(entry, index.age_of(entry), records);
      }
    });
    if (records.size() < kRecordsAtOnce && !is_at_end) continue;
    status = drive.journal().add_live(records);
    records.clear();
  }
  if (status) status = drive.journal().finish_compaction();
  if (!status) {
    drive.journal().abandon_compaction();
    static_cast<void>(drive.write_failed(status.error()));
  }
  drive.compaction_ended(status.has_value());
  // What the index forgot before it is not in the new journal.
  if (status) drive.records_made_up(lost);
}

}  // namespace larder::store
