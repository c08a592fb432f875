#include "store/index.h"

#include <utility>

#include "store/generation.h"
#include "store/object_state.h"

namespace larder::store {
namespace {

// Uses taken under one lock.
constexpr std::size_t kUsesAtOnce = 64;

}  // namespace

void Index::set_drives(std::vector<Drive*> drives) {
  drives_ = std::move(drives);
  for (Shard& shard : shards_) shard.uses.resize(drives_.size());
}

inline void Index::note_use(Shard& shard, std::uint32_t slot) {
  // Written only when it changes: the line of a hot entry is shared by all loops.
  const Entry& entry = shard.entries.at(slot);
  if (entry.stamp != now() || !entry.is_use_noted) note_changed_use(shard, slot);
}

void Index::note_changed_use(Shard& shard, std::uint32_t slot) {
  Entry& entry = shard.entries.at(slot);
  const std::uint16_t now = this->now();
  if (entry.stamp / kEpochsPerNote != now / kEpochsPerNote) entry.is_use_noted = 0;
  entry.stamp = now;
  entry.was_hit = 1;
  if (entry.is_use_noted || !entry.is_recorded) return;
  std::vector<std::uint32_t>& uses = shard.uses[entry.drive];
  if (uses.size() >= kUsesLimit) return;
  uses.push_back(slot);
  entry.is_use_noted = 1;
  ++unrecorded_uses_;
}

void Index::note_use(const Object& object) {
  const std::uint16_t now = now_.load(std::memory_order_relaxed);
  std::atomic<std::uint16_t>& last = object.state_->last_use;
  if (last.load(std::memory_order_relaxed) == now) return;
  last.store(now, std::memory_order_relaxed);
  const Generation& generation = *object.generation_;
  Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  if (!generation.was_removed) note_use(shard, shard.live.find(generation.key)->slot);
}

void Index::take_uses(std::uint32_t number, std::uint32_t drive, std::vector<std::uint64_t>& out) {
  Shard& shard = shards_[number];
  for (bool is_empty = false; !is_empty;) {
    const std::lock_guard lock(shard.mutex);
    std::vector<std::uint32_t>& uses = shard.uses[drive];
    for (std::size_t left = kUsesAtOnce; left > 0 && !uses.empty(); --left, uses.pop_back()) {
      const Entry& entry = shard.entries.at(uses.back());
      // The slot may be free by now or hold another generation, also one that was used.
      if (entry.is_taken && entry.is_use_noted && entry.drive == drive) {
        out.push_back(entry.id);
      } else {
        --unrecorded_uses_;
      }
    }
    is_empty = uses.empty();
  }
}

bool Index::advance(std::uint64_t bytes) {
  const std::uint64_t before = volume_.fetch_add(bytes);
  const std::uint64_t epochs = (before + bytes) / epoch_size_ - before / epoch_size_;
  if (epochs == 0) return false;
  const std::uint16_t last = now_.fetch_add(static_cast<std::uint16_t>(epochs));
  return last / kEpochsPerNote != (last + epochs) / kEpochsPerNote;
}

void Index::count(const Entry& entry, std::int64_t sign) {
  const auto signed_by = [sign](std::uint64_t value) {
    return sign < 0 ? 0 - value : value;  // modulo 2^64
  };
  objects_ += signed_by(1);
  slices_ += signed_by(entry.slice_count());
  bytes_ += signed_by(entry.stored_bytes());
  const std::uint64_t cost = entry.cost();
  group_costs_[entry.group] += signed_by(cost);
  if (entry.is_pinned) pinned_cost_ += signed_by(cost);
}

bool Index::contains(const Key& key) const {
  const Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const std::uint32_t slot = shard.entries.find(key);
  return slot != EntryTable::kNone && !is_purged(shard.entries.at(slot));
}

bool Index::is_open(const Key& key) const {
  const Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const Live* live = shard.live.find(key);
  return live != nullptr && !live->object.expired();
}

std::shared_ptr<Object> Index::find_open(const Key& key) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const Live* live = std::as_const(shard.live).find(key);
  if (live == nullptr) return nullptr;
  auto object = live->object.lock();
  if (object) note_use(shard, live->slot);
  return object;
}

std::shared_ptr<Generation> Index::find(const Key& key) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const std::uint32_t slot = shard.entries.find(key);
  if (slot == EntryTable::kNone) return nullptr;
  Entry& entry = shard.entries.at(slot);
  if (is_purged(entry)) return nullptr;
  note_use(shard, slot);
  Live& live = shard.live.get(key);
  if (auto generation = live.generation.lock()) return generation;
  auto generation =
      std::make_shared<Generation>(drives_[entry.drive], std::uint64_t{entry.id}, key,
                                   std::uint64_t{entry.length}, entry.location(), entry.group);
  generation->is_recorded = entry.is_recorded != 0;
  live.slot = slot;
  live.generation = generation;
  live.object.reset();
  return generation;
}

Removed Index::take_out(Shard& shard, std::uint32_t slot) {
  Entry& entry = shard.entries.at(slot);
  count(entry, -1);
  Removed removed{.drive = drives_[entry.drive],
                  .id = entry.id,
                  .location = entry.location(),
                  .cost = entry.cost(),
                  .is_recorded = entry.is_recorded != 0};
  if (Live* live = shard.live.find(entry.key)) {
    removed.live = live->generation.lock();
    if (removed.live) {
      removed.live->cost = removed.cost;
      if (!entry.is_packed()) {
        removed.live->slices = entry.list();
        entry.set_list({});
      } else if (entry.has_slice) {
        removed.live->slices.add(0, entry.checksum);
      }
      removed.live->was_removed = true;
    }
    shard.live.erase(entry.key);
  }
  shard.entries.erase(slot);
  return removed;
}

std::optional<Removed> Index::insert(const std::shared_ptr<Generation>& generation,
                                     const std::shared_ptr<Object>& object, std::uint32_t drive,
                                     bool is_pinned) {
  Shard& shard = shard_of(generation->key);
  std::optional<Removed> replaced;  // a last reference goes outside the lock
  const std::lock_guard lock(shard.mutex);
  if (const std::uint32_t slot = shard.entries.find(generation->key); slot != EntryTable::kNone) {
    if (shard.entries.at(slot).id > generation->id) {
      generation->cost = cost_without_slices(generation->location, generation->length);
      generation->was_removed = true;
      return Removed{.drive = generation->drive,
                     .id = generation->id,
                     .location = generation->location,
                     .cost = generation->cost,
                     .is_recorded = generation->is_recorded,
                     .live = generation};
    }
    replaced = take_out(shard, slot);
  }
  const std::uint32_t slot = shard.entries.insert(generation->key);
  Entry& entry = shard.entries.at(slot);
  entry.id = generation->id;
  entry.stamp = now_.load(std::memory_order_relaxed);
  entry.length = generation->length;
  entry.slot_units = generation->location.slot_units;
  entry.drive = drive;
  entry.is_recorded = generation->is_recorded;
  entry.is_pinned = is_pinned;
  entry.group = generation->group;
  if (entry.is_packed()) {
    entry.number = generation->location.segment;
    entry.block = static_cast<std::uint16_t>(generation->location.block);
  }
  count(entry, 1);
  Live& live = shard.live.get(generation->key);
  live.slot = slot;
  live.generation = generation;
  live.object = object;
  return replaced;
}

std::optional<Removed> Index::erase(const Generation& generation) {
  Shard& shard = shard_of(generation.key);
  std::optional<Removed> removed;
  const std::lock_guard lock(shard.mutex);
  if (generation.was_removed) return removed;
  const std::uint32_t slot = shard.entries.find(generation.key);
  if (slot == EntryTable::kNone || shard.entries.at(slot).id != generation.id) return removed;
  removed = take_out(shard, slot);
  return removed;
}

std::optional<Removed> Index::erase(const Key& key) {
  Shard& shard = shard_of(key);
  std::optional<Removed> removed;
  const std::lock_guard lock(shard.mutex);
  const std::uint32_t slot = shard.entries.find(key);
  if (slot != EntryTable::kNone) removed = take_out(shard, slot);
  return removed;
}

std::optional<Removed> Index::erase(const Key& key, std::uint64_t id) {
  Shard& shard = shard_of(key);
  std::optional<Removed> removed;
  const std::lock_guard lock(shard.mutex);
  const std::uint32_t slot = shard.entries.find(key);
  if (slot == EntryTable::kNone || shard.entries.at(slot).id != id) return removed;
  removed = take_out(shard, slot);
  return removed;
}

std::shared_ptr<Object> Index::attach(const std::shared_ptr<Object>& object) {
  const Generation& generation = *object->generation_;
  Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  if (generation.was_removed) return nullptr;
  Live* live = shard.live.find(generation.key);
  if (auto other = live->object.lock()) return other;
  const Entry& entry = shard.entries.at(live->slot);
  if (entry.is_packed()) {
    if (entry.has_slice) object->state_->stored.set(0);
  } else {
    for (const StoredSlice& slice : entry.list().view()) object->state_->stored.set(slice.index);
  }
  live->object = object;
  return object;
}

bool Index::add_slice_to(Entry& entry, std::uint32_t index, std::uint64_t checksum) {
  const std::uint64_t cost_before = entry.cost();
  if (entry.is_packed()) {
    const bool is_new = !entry.has_slice;
    entry.checksum = checksum;
    entry.has_slice = 1;
    if (!is_new) return false;
  } else {
    SliceList list = entry.list();
    const bool is_new = list.add(index, checksum);
    entry.set_list(list);
    if (!is_new) return false;
  }
  const std::uint64_t grown = entry.cost() - cost_before;
  ++slices_;
  bytes_ += slice_length_of(entry.length, index);
  group_costs_[entry.group] += grown;
  if (entry.is_pinned) pinned_cost_ += grown;
  return true;
}

std::optional<std::uint64_t> Index::add_slice(Generation& generation, std::uint32_t index,
                                              std::uint64_t checksum) {
  Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  if (generation.was_removed) {
    generation.slices.add(index, checksum);
    if (generation.is_packed()) return 0;
    const std::uint64_t cost = slice_cost(slice_length_of(generation.length, index));
    generation.cost += cost;
    return cost;
  }
  Entry& entry = shard.entries.at(shard.live.find(generation.key)->slot);
  entry.is_recorded = 1;
  entry.stamp = now_.load(std::memory_order_relaxed);
  add_slice_to(entry, index, checksum);
  return std::nullopt;
}

bool Index::drop_slice_of(Entry& entry, std::uint32_t index) {
  if (entry.is_packed()) return false;
  const std::uint64_t cost_before = entry.cost();
  SliceList list = entry.list();
  if (!list.drop(index)) return false;
  entry.set_list(list);
  const std::uint64_t shrunk = cost_before - entry.cost();
  --slices_;
  bytes_ -= slice_length_of(entry.length, index);
  group_costs_[entry.group] -= shrunk;
  if (entry.is_pinned) pinned_cost_ -= shrunk;
  return true;
}

bool Index::drop_slice(Generation& generation, std::uint32_t index) {
  Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  if (generation.was_removed) return false;
  return drop_slice_of(shard.entries.at(shard.live.find(generation.key)->slot), index);
}

std::optional<std::uint64_t> Index::checksum(const Generation& generation,
                                             std::uint32_t index) const {
  const Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  if (generation.was_removed) {
    const StoredSlice* slice = generation.slices.find(index);
    if (slice == nullptr) return std::nullopt;
    return slice->checksum();
  }
  const Live* live = shard.live.find(generation.key);
  std::uint64_t sum = 0;
  if (live == nullptr || !shard.entries.at(live->slot).checksum_of(index, sum)) return std::nullopt;
  return sum;
}

bool Index::pin(Entry& entry, bool is_pinned) {
  if ((entry.is_pinned != 0) == is_pinned) return false;
  entry.is_pinned = is_pinned;
  if (is_pinned) {
    pinned_cost_ += entry.cost();
  } else {
    pinned_cost_ -= entry.cost();
  }
  return true;
}

bool Index::set_pinned(const Key& key, std::uint64_t id, bool is_pinned) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const std::uint32_t slot = shard.entries.find(key);
  if (slot == EntryTable::kNone || shard.entries.at(slot).id != id) return false;
  return pin(shard.entries.at(slot), is_pinned);
}

bool Index::visit(IndexPosition& at, std::uint32_t count,
                  const std::function<void(const Entry&)>& visitor) const {
  if (at.shard >= kShards) return false;
  const Shard& shard = shards_[at.shard];
  const std::lock_guard lock(shard.mutex);
  for (; count > 0 && at.slot < shard.entries.slots(); --count, ++at.slot) {
    const Entry& entry = shard.entries.at(at.slot);
    if (entry.is_taken) visitor(entry);
  }
  if (at.slot >= shard.entries.slots()) at = {at.shard + 1, 0};
  return true;
}

std::optional<Removed> Index::evict(IndexPosition& at, std::uint32_t count,
                                    const EvictionRule& rule, AgeCounts& ages) {
  Shard& shard = shards_[at.shard];
  std::optional<Removed> victim;
  const std::lock_guard lock(shard.mutex);
  for (; count > 0 && at.slot < shard.entries.slots(); --count, ++at.slot) {
    const Entry& entry = shard.entries.at(at.slot);
    if (!rule.concerns(entry)) continue;
    const std::uint32_t age = eviction_age(age_of(entry), entry.was_hit != 0);
    if (age < rule.from_age) {
      ages.bytes[age] += entry.cost();
      continue;
    }
    victim = take_out(shard, at.slot);
    ++at.slot;
    break;
  }
  if (at.slot >= shard.entries.slots()) at = {(at.shard + 1) % kShards, 0};
  return victim;
}

std::vector<std::shared_ptr<Object>> Index::open_objects() const {
  std::vector<std::shared_ptr<Object>> all;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.live.visit([&](const Live& live) {
      if (auto object = live.object.lock()) all.push_back(std::move(object));
    });
  }
  return all;
}

void Index::purge_below(std::uint16_t group, std::uint64_t id) {
  std::atomic<std::uint64_t>& bound = purged_below_[group];
  std::uint64_t known = bound;
  while (known < id && !bound.compare_exchange_weak(known, id)) {
  }
}

}  // namespace larder::store
