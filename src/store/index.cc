#include "store/index.h"

#include "store/drive.h"
#include "store/layout.h"
#include "store/object_state.h"

namespace larder::store {

std::shared_ptr<Generation> Index::find(const Key& key) const {
  const Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  return shard.entries.find(key);
}

std::shared_ptr<Object> Index::find_open(const Key& key) const {
  const Shard& shard = shard_of(key);
  const std::lock_guard lock(shard.mutex);
  const auto& entry = shard.entries.find(key);
  return entry ? entry->open.lock() : nullptr;
}

void Index::mark_removed(Generation& generation) {
  generation.drive->expect_release(generation.cost());
  generation.was_removed = true;
  --objects_;
  slices_ -= generation.slices.size();
  bytes_ -= generation.stored_bytes();
}

std::shared_ptr<Generation> Index::insert(std::shared_ptr<Generation> generation) {
  Shard& shard = shard_of(generation->key);
  const std::lock_guard lock(shard.mutex);
  ++objects_;
  slices_ += generation->slices.size();
  bytes_ += generation->stored_bytes();
  const auto& holder = shard.entries.find(generation->key);
  if (holder && holder->id > generation->id) {
    mark_removed(*generation);
    return generation;
  }
  auto replaced = shard.entries.take(generation->key);
  if (replaced) mark_removed(*replaced);
  shard.entries.insert(std::move(generation));
  return replaced;
}

bool Index::erase(const Generation& generation) {
  Shard& shard = shard_of(generation.key);
  std::shared_ptr<Generation> held;  // its last reference goes outside the lock
  const std::lock_guard lock(shard.mutex);
  if (shard.entries.find(generation.key).get() != &generation) return false;
  held = shard.entries.take(generation.key);
  mark_removed(*held);
  return true;
}

std::shared_ptr<Object> Index::attach(const std::shared_ptr<Object>& object) {
  Generation& generation = *object->generation_;
  Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  if (generation.was_removed) return nullptr;
  if (auto other = generation.open.lock()) return other;
  for (const StoredSlice& slice : generation.slices) object->state_->stored.set(slice.index);
  generation.open = object;
  return object;
}

void Index::add_slice(Generation& generation, std::uint32_t index, std::uint64_t checksum) {
  Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  if (!generation.add_slice(index, checksum)) return;
  const std::uint64_t length = slice_length_of(generation.length, index);
  if (generation.was_removed) {
    if (!generation.is_packed()) generation.drive->expect_release(slice_cost(length));
    return;
  }
  ++slices_;
  bytes_ += length;
}

bool Index::drop_slice(Generation& generation, std::uint32_t index) {
  Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  if (generation.was_removed || !generation.drop_slice(index)) return false;
  --slices_;
  bytes_ -= slice_length_of(generation.length, index);
  return true;
}

std::optional<std::uint64_t> Index::checksum(const Generation& generation,
                                             std::uint32_t index) const {
  const Shard& shard = shard_of(generation.key);
  const std::lock_guard lock(shard.mutex);
  const StoredSlice* slice = generation.find_slice(index);
  if (slice == nullptr) return std::nullopt;
  return slice->checksum();
}

void Index::visit(std::size_t shard, const std::function<void(const Generation&)>& visitor) const {
  const std::lock_guard lock(shards_[shard].mutex);
  shards_[shard].entries.visit([&](const std::shared_ptr<Generation>& entry) { visitor(*entry); });
}

}  // namespace larder::store
