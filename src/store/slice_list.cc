#include "store/slice_list.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <type_traits>

namespace larder::store {
namespace {

// Moved with realloc and memmove.
static_assert(std::is_trivially_copyable_v<StoredSlice> && sizeof(StoredSlice) == 12);

// 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: little is lost in small lists, long ones rarely move.
std::uint32_t capacity_for(std::uint32_t count) {
  if (count <= 3) return count;
  const std::uint32_t power = std::bit_ceil(count);
  return count <= power / 4 * 3 ? power / 4 * 3 : power;
}

StoredSlice* place_of(const SliceList& list, std::uint32_t index) {
  return std::ranges::lower_bound(list.slices, list.slices + list.count, index, {},
                                  &StoredSlice::index);
}

void resize(SliceList& list, std::uint32_t capacity) {
  void* memory = std::realloc(list.slices, capacity * sizeof(StoredSlice));
  if (memory == nullptr) std::abort();  // as any other allocation of ours
  list.slices = static_cast<StoredSlice*>(memory);
}

}  // namespace

const StoredSlice* SliceList::find(std::uint32_t index) const {
  const StoredSlice* place = place_of(*this, index);
  return place != slices + count && place->index == index ? place : nullptr;
}

bool SliceList::add(std::uint32_t index, std::uint64_t checksum) {
  StoredSlice* place = place_of(*this, index);
  if (place != slices + count && place->index == index) {
    *place = StoredSlice(index, checksum);
    return false;
  }
  const auto at = static_cast<std::uint32_t>(place - slices);
  if (capacity_for(count + 1) != capacity_for(count) || count == 0) {
    resize(*this, capacity_for(count + 1));
  }
  std::memmove(slices + at + 1, slices + at, (count - at) * sizeof(StoredSlice));
  ++count;
  slices[at] = StoredSlice(index, checksum);
  return true;
}

bool SliceList::drop(std::uint32_t index) {
  StoredSlice* place = place_of(*this, index);
  if (place == slices + count || place->index != index) return false;
  const auto at = static_cast<std::uint32_t>(place - slices);
  std::memmove(slices + at, slices + at + 1, (count - at - 1) * sizeof(StoredSlice));
  if (--count == 0) {
    release();
  } else {
    // So that the memory is always what the count says.
    resize(*this, capacity_for(count));
  }
  return true;
}

void SliceList::release() {
  std::free(slices);
  slices = nullptr;
  count = 0;
}

}  // namespace larder::store
