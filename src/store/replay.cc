#include "store/replay.h"

#include <algorithm>
#include <utility>

#include "store/generation.h"
#include "store/layout.h"

namespace larder::store {
namespace {

bool is_sound(const Record& record) {
  const bool is_packed = record.type == RecordType::Packed;
  const Location& at = record.location;
  if (record.generation >= kGenerationLimit || record.group >= kGroupLimit) return false;
  if (record.length > kLengthLimit || is_packed_length(record.length) != is_packed) return false;
  if (is_packed != (at.segment != 0) || at.slot_units == 0 || at.slot_units > UINT8_MAX)
    return false;
  return at.block <= UINT16_MAX;
}

}  // namespace

// Requires the shard's lock.
bool Replay::is_at(Place place, std::uint64_t id) const {
  const EntryTable& entries = index_.shards_[place.shard].entries;
  if (place.slot >= entries.slots()) return false;
  const Entry& entry = entries.at(place.slot);
  return entry.is_taken && entry.id == id && entry.drive == drive_;
}

void Replay::remember(std::uint64_t id, Place place) {
  if (4 * (used_ + 1) > 3 * places_.size()) {
    const auto old = std::exchange(places_, {});
    places_.resize(old.empty() ? 1024 : 2 * old.size());
    used_ = 0;
    for (const std::uint64_t known : old) {
      if (known == 0) continue;
      const Place at{static_cast<std::uint32_t>((known - 1) >> 32),
                     static_cast<std::uint32_t>(known - 1)};
      std::uint64_t its_id = 0;
      {
        Index::Shard& shard = index_.shards_[at.shard];
        const std::lock_guard lock(shard.mutex);
        const Entry& entry = shard.entries.at(at.slot);
        if (!entry.is_taken || entry.drive != drive_) continue;
        its_id = entry.id;
      }
      remember(its_id, at);
    }
  }
  std::size_t at = (id * 0x9E3779B97F4A7C15 >> 20) & (places_.size() - 1);
  while (places_[at] != 0) at = (at + 1) & (places_.size() - 1);
  places_[at] = (static_cast<std::uint64_t>(place.shard) << 32 | place.slot) + 1;
  ++used_;
}

std::optional<Replay::Place> Replay::find(std::uint64_t id) {
  if (id == last_id_ && id != 0) return last_;
  if (places_.empty()) return std::nullopt;
  for (std::size_t at = (id * 0x9E3779B97F4A7C15 >> 20) & (places_.size() - 1); places_[at] != 0;
       at = (at + 1) & (places_.size() - 1)) {
    const Place place{static_cast<std::uint32_t>((places_[at] - 1) >> 32),
                      static_cast<std::uint32_t>(places_[at] - 1)};
    const std::lock_guard lock(index_.shards_[place.shard].mutex);
    if (!is_at(place, id)) continue;
    last_id_ = id;
    last_ = place;
    return place;
  }
  return std::nullopt;
}

template <typename Change>
void Replay::change(std::uint64_t id, Change&& change) {
  const auto place = find(id);
  if (!place) return;
  Index::Shard& shard = index_.shards_[place->shard];
  const std::lock_guard lock(shard.mutex);
  if (is_at(*place, id)) change(shard, place->slot);
}

void Replay::remove(std::uint64_t id) {
  change(id, [&](Index::Shard& shard, std::uint32_t slot) { index_.take_out(shard, slot); });
}

void Replay::create(const Record& record) {
  if (!is_sound(record)) return;
  Index::Shard& shard = index_.shard_of(record.key);
  const auto number = static_cast<std::uint32_t>(&shard - index_.shards_.data());
  if (const auto same = find(record.generation)) {
    Index::Shard& other = index_.shards_[same->shard];
    const std::lock_guard lock(other.mutex);
    if (is_at(*same, record.generation)) {
      // A snapshot said it before. One id for two keys: no journal of ours says so; neither is to
      // be trusted.
      if (Entry& known = other.entries.at(same->slot); known.key != record.key) {
        index_.take_out(other, same->slot);
      } else if (!record.is_snapshot) {
        known.stamp = index_.now();  // as old as what the records beside it are about
      }
      return;
    }
  }
  std::uint32_t slot = 0;
  {
    const std::lock_guard lock(shard.mutex);
    slot = shard.entries.find(record.key);
    if (slot != EntryTable::kNone) {
      const Entry& newest = shard.entries.at(slot);
      if (newest.id >= record.generation) {
        if (newest.drive != drive_) {
          replaced_.push_back(
              {.drive = index_.drives_[drive_], .id = record.generation, .is_recorded = true});
        }
        return;
      }
      const bool is_of_other_drive = newest.drive != drive_;
      Removed removed = index_.take_out(shard, slot);
      if (is_of_other_drive) replaced_.push_back(std::move(removed));
    }
    slot = shard.entries.insert(record.key);
    Entry& entry = shard.entries.at(slot);
    entry.id = record.generation;
    entry.stamp = static_cast<std::uint16_t>(index_.now_ - record.age);
    entry.length = record.length;
    entry.slot_units = record.location.slot_units;
    entry.drive = drive_;
    entry.is_recorded = 1;
    entry.is_pinned = record.is_pinned;
    entry.was_hit = record.was_hit;
    entry.is_use_noted = record.was_hit;
    entry.group = record.group;
    if (record.type == RecordType::Packed) {
      entry.number = record.location.segment;
      entry.block = static_cast<std::uint16_t>(record.location.block);
    }
    index_.count(entry, 1);
    if (record.type == RecordType::Packed && record.length > 0) {
      index_.add_slice_to(entry, 0, record.checksum);
    }
  }
  remember(record.generation, {number, slot});
  last_id_ = record.generation;
  last_ = {number, slot};
}

void Replay::set_slice(Entry& entry, std::uint32_t slice, std::uint64_t checksum) {
  if (entry.is_packed() || slice >= slice_count_of(entry.length)) return;
  index_.add_slice_to(entry, slice, checksum);
}

void Replay::note_use(std::uint64_t id) {
  name(id);
  change(id, [&](Index::Shard& shard, std::uint32_t slot) {
    Entry& entry = shard.entries.at(slot);
    entry.stamp = index_.now();
    entry.was_hit = 1;
    entry.is_use_noted = 1;
  });
}

void Replay::name(std::uint64_t id) {
  if (id < kGenerationLimit) highest_ = std::max(highest_, id);
}

void Replay::apply(const Record& record) {
  name(record.generation);
  switch (record.type) {
    case RecordType::Large:
      create(record);
      return;
    case RecordType::Packed:
      create(record);
      if (!record.is_snapshot) index_.advance(std::min(record.length, kSliceSize));
      return;
    case RecordType::Slice:
      change(record.generation, [&](Index::Shard& shard, std::uint32_t slot) {
        Entry& entry = shard.entries.at(slot);
        set_slice(entry, record.slice, record.checksum);
        entry.stamp = index_.now_.load();
      });
      index_.advance(kSliceSize);
      return;
    case RecordType::Slices:
      change(record.generation, [&](Index::Shard& shard, std::uint32_t slot) {
        for (std::uint32_t i = 0; i < record.count; ++i) {
          if (record.slice > UINT32_MAX - i) return;
          set_slice(shard.entries.at(slot), record.slice + i, record.values[i]);
        }
      });
      return;
    case RecordType::DropSlice:
      change(record.generation, [&](Index::Shard& shard, std::uint32_t slot) {
        index_.drop_slice_of(shard.entries.at(slot), record.slice);
      });
      return;
    case RecordType::Remove:
      remove(record.generation);
      return;
    case RecordType::Pin:
      change(record.generation, [&](Index::Shard& shard, std::uint32_t slot) {
        index_.pin(shard.entries.at(slot), record.is_pinned);
      });
      return;
    case RecordType::Uses:
      for (std::uint32_t i = 0; i < record.count; ++i) note_use(record.values[i]);
      return;
  }
}

}  // namespace larder::store
