#include "store/generation.h"

#include <algorithm>

#include "store/drive.h"
#include "store/layout.h"

namespace larder::store {
namespace {

auto place_of(std::vector<StoredSlice>& slices, std::uint32_t index) {
  return std::ranges::lower_bound(slices, index, {}, &StoredSlice::index);
}

}  // namespace

Generation::~Generation() {
  if (drive != nullptr && was_removed) drive->release(*this);
}

std::uint64_t Generation::cost() const {
  if (is_packed()) return packed_size(location, length);
  std::uint64_t cost = large_base_cost(location);
  for (const StoredSlice& slice : slices) cost += slice_cost(slice_length_of(length, slice.index));
  return cost;
}

bool Generation::add_slice(std::uint32_t index, std::uint64_t checksum) {
  const auto place = place_of(slices, index);
  if (place != slices.end() && place->index == index) {
    *place = StoredSlice(index, checksum);
    return false;
  }
  slices.emplace(place, index, checksum);
  return true;
}

bool Generation::drop_slice(std::uint32_t index) {
  const auto place = place_of(slices, index);
  if (place == slices.end() || place->index != index) return false;
  slices.erase(place);
  return true;
}

const StoredSlice* Generation::find_slice(std::uint32_t index) const {
  const auto place = std::ranges::lower_bound(slices, index, {}, &StoredSlice::index);
  return place != slices.end() && place->index == index ? &*place : nullptr;
}

std::uint64_t Generation::stored_bytes() const {
  std::uint64_t bytes = 0;
  for (const StoredSlice& slice : slices) bytes += slice_length_of(length, slice.index);
  return bytes;
}

}  // namespace larder::store
