#include "cache/slice_set.h"

#include <algorithm>

#include "store/store.h"

namespace larder::cache {

void SliceSet::add(std::uint32_t index) {
  if (index >= slices_.size()) slices_.resize(std::size_t{index} + 1);
  slices_[index] = true;
}

std::uint64_t SliceSet::bytes_in(std::uint64_t offset, std::uint64_t count) const {
  if (has_all_) return count;
  if (slices_.empty()) return 0;
  std::uint64_t bytes = 0;
  const std::uint64_t end = offset + count;
  while (offset < end) {
    const std::uint64_t index = offset / store::kSliceSize;
    const std::uint64_t next = std::min(end, (index + 1) * store::kSliceSize);
    if (has(index)) bytes += next - offset;
    offset = next;
  }
  return bytes;
}

}  // namespace larder::cache
