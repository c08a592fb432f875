#include "store/snapshot.h"

#include <algorithm>

namespace larder::store {

void add_snapshot(const Entry& entry, std::uint16_t age, std::vector<Record>& out) {
  const bool is_packed = entry.is_packed();
  out.push_back({.type = is_packed ? RecordType::Packed : RecordType::Large,
                 .generation = entry.id,
                 .key = entry.key,
                 .length = entry.length,
                 .location = entry.location(),
                 .group = entry.group,
                 .age = static_cast<std::uint8_t>(std::min<std::uint16_t>(age, 255)),
                 .is_snapshot = true,
                 .was_hit = entry.was_hit != 0,
                 .is_pinned = entry.is_pinned != 0,
                 .checksum = is_packed ? entry.checksum : 0});
  if (is_packed) return;
  for (const StoredSlice& slice : entry.list().view()) {
    Record& last = out.back();
    if (last.type == RecordType::Slices && last.count < kSlicesPerRecord &&
        slice.index == last.slice + last.count) {
      last.values[last.count++] = slice.checksum();
      continue;
    }
    Record& next = out.emplace_back();
    next.type = RecordType::Slices;
    next.generation = entry.id;
    next.slice = slice.index;
    next.count = 1;
    next.values[0] = slice.checksum();
  }
}

}  // namespace larder::store
