#include "store/entry_table.h"

#include <cstring>
#include <utility>

namespace larder::store {

Location Entry::location() const {
  return {.segment = is_packed() ? number : 0,
          .block = is_packed() ? block : 0U,
          .slot_units = static_cast<std::uint16_t>(slot_units)};
}

std::uint64_t Entry::stored_bytes() const {
  if (is_packed()) return has_slice ? length : 0;
  if (number == 0) return 0;
  // All slices are whole but for the object's last one.
  const std::uint32_t last = slices[number - 1].index;
  return (number - 1) * kSliceSize + slice_length_of(length, last);
}

std::uint64_t Entry::cost() const {
  const std::uint64_t base = cost_without_slices(location(), length);
  if (is_packed() || number == 0) return base;
  const std::uint32_t last = slices[number - 1].index;
  return base + (number - 1) * slice_cost(kSliceSize) + slice_cost(slice_length_of(length, last));
}

bool Entry::checksum_of(std::uint32_t index, std::uint64_t& out) const {
  if (is_packed()) {
    if (index != 0 || !has_slice) return false;
    out = checksum;
    return true;
  }
  const StoredSlice* slice = list().find(index);
  if (slice == nullptr) return false;
  out = slice->checksum();
  return true;
}

EntryTable::~EntryTable() {
  for (std::uint32_t slot = 0; slot < slots(); ++slot) {
    Entry& entry = at(slot);
    if (entry.is_taken && !entry.is_packed()) entry.list().release();
  }
}

std::size_t EntryTable::home_of(const Key& key) const {
  return static_cast<std::size_t>((key.low * 0x9E3779B97F4A7C15) >> 20) & mask();
}

// Where the key is, or the free place where it would be.
std::size_t EntryTable::place_of(const Key& key) const {
  std::size_t place = home_of(key);
  while (places_[place] != 0 && at(places_[place] - 1).key != key) place = next(place);
  return place;
}

std::uint32_t EntryTable::find(const Key& key) const {
  return places_.empty() ? kNone : places_[place_of(key)] - 1;
}

void EntryTable::grow() {
  const std::vector<std::uint32_t> old = std::exchange(places_, {});
  places_.resize(old.empty() ? 16 : 2 * old.size());
  for (const std::uint32_t taken : old) {
    if (taken != 0) places_[place_of(at(taken - 1).key)] = taken;
  }
}

std::uint32_t EntryTable::take_slot() {
  if (free_ == kNone) {
    const std::uint32_t first = slots();
    chunks_.push_back(std::make_unique<Entry[]>(kChunk));
    for (std::uint32_t i = kChunk; i > 0; --i) {
      at(first + i - 1).number = free_;
      free_ = first + i - 1;
    }
  }
  const std::uint32_t slot = free_;
  free_ = at(slot).number;
  return slot;
}

std::uint32_t EntryTable::insert(const Key& key) {
  if (5 * (size_ + 1) > 4 * places_.size()) grow();
  const std::uint32_t slot = take_slot();
  Entry& entry = at(slot);
  std::memset(static_cast<void*>(&entry), 0, sizeof entry);
  entry.key = key;
  places_[place_of(key)] = slot + 1;
  entry.is_taken = 1;
  ++size_;
  return slot;
}

void EntryTable::erase(std::uint32_t slot) {
  Entry& entry = at(slot);
  std::size_t hole = place_of(entry.key);
  places_[hole] = 0;
  // Entries behind the hole that were pushed past it move up, so that no search ends too early.
  for (std::size_t place = next(hole); places_[place] != 0; place = next(place)) {
    const std::size_t home = home_of(at(places_[place] - 1).key);
    if (((place - home) & mask()) < ((place - hole) & mask())) continue;
    places_[hole] = std::exchange(places_[place], 0);
    hole = place;
  }
  if (!entry.is_packed()) entry.list().release();
  entry.is_taken = 0;
  entry.number = free_;
  free_ = slot;
  --size_;
}

}  // namespace larder::store
