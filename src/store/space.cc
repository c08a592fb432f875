// Making space: eviction, removal, and the background pass over a drive.
#include <string>
#include <utility>

#include "base/log.h"
#include "store/store_parts.h"

namespace larder::store {

Drive* Store::Parts::choose_drive() const {
  Drive* best = nullptr;
  for (const auto& drive : drives) {
    if (drive->is_failing()) continue;
    if (best == nullptr || drive->available() > best->available()) best = drive.get();
  }
  return best;
}

void Store::Parts::record_removal(Generation& generation) {
  if (!generation.is_recorded) return;
  const std::shared_lock gate(generation.drive->compaction_gate());
  const auto appended =
      generation.drive->journal().append({.type = RecordType::Remove, .generation = generation.id});
  // If the record is lost, the generation comes back after a restart; its bytes are freed anyway,
  // so it is then found unreadable and dropped.
  if (!appended) static_cast<void>(generation.drive->write_failed(appended.error()));
}

bool Store::Parts::retire(Generation& generation) {
  if (!index.erase(generation)) return false;
  record_removal(generation);
  open_table.drop(generation.id);
  return true;
}

void Store::Parts::abandon(Generation& generation) {
  generation.drive->expect_release(generation.cost());
  generation.was_removed = true;
}

bool Store::Parts::make_room(Drive& drive, std::uint64_t bytes, const Generation* keep) {
  if (drive.reserve(bytes)) return true;
  drive.free_released();
  if (drive.reserve(bytes)) return true;
  // What slow readers hold is not freed at once. One request must not empty the drive for that:
  // it gives up after evicting a small multiple of its need.
  const std::uint64_t limit = 2 * bytes + 4 * kSliceSize;
  for (std::uint64_t evicted = 0; evicted < limit;) {
    auto victim = drive.next_victim(keep);
    if (!victim) break;
    const std::uint64_t cost = victim->cost();
    if (!retire(*victim)) continue;
    ++drive.counters().evicted_objects;
    drive.counters().evicted_bytes += cost;
    evicted += cost;
    victim.reset();
    drive.free_released();
    if (drive.reserve(bytes)) return true;
  }
  return false;
}

void Store::Parts::maintain(Drive& drive, bool now_anyway) {
  const std::lock_guard one_at_a_time(drive.upkeep_mutex());
  drive.free_released();
  while (drive.shortage() > 0) {
    auto victim = drive.next_victim(nullptr);
    if (!victim) break;
    const std::uint64_t cost = victim->cost();
    if (!retire(*victim)) continue;
    ++drive.counters().evicted_objects;
    drive.counters().evicted_bytes += cost;
    victim.reset();
    drive.free_released();
  }
  if (const auto synced = drive.sync(now_anyway); !synced) {
    static_cast<void>(drive.write_failed(synced.error()));
  }
  if (drive.wants_compaction()) compact(drive);
}

namespace {

void add_records(const Generation& generation, std::vector<Record>& out) {
  const bool is_packed = generation.is_packed();
  out.push_back({.type = is_packed ? RecordType::Packed : RecordType::Large,
                 .generation = generation.id,
                 .key = generation.key,
                 .length = generation.length,
                 .location = generation.location,
                 .checksum = is_packed && !generation.slices.empty()
                                 ? generation.slices.front().checksum()
                                 : 0});
  if (is_packed) return;
  for (const StoredSlice& slice : generation.slices) {
    out.push_back({.type = RecordType::Slice,
                   .generation = generation.id,
                   .slice = slice.index,
                   .checksum = slice.checksum()});
  }
}

}  // namespace

void Store::Parts::compact(Drive& drive) {
  base::Status status;
  {
    // Whoever is between its record and its change of the index is let through first: afterwards
    // each record is in the snapshot of the index or carried over, or both.
    const std::unique_lock gate(drive.compaction_gate());
    status = drive.journal().begin_compaction();
  }
  std::vector<Record> records;
  for (std::size_t shard = 0; status && shard < Index::kShards; ++shard) {
    records.clear();
    index.visit(shard, [&](const Generation& generation) {
      if (generation.drive == &drive && generation.is_recorded) add_records(generation, records);
    });
    status = drive.journal().add_live(records);
  }
  if (status) status = drive.journal().finish_compaction();
  if (!status) {
    drive.journal().abandon_compaction();
    static_cast<void>(drive.write_failed(status.error()));
  }
  drive.compaction_ended(status.has_value());
}

}  // namespace larder::store
