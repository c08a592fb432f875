#include "store/replay.h"

#include <algorithm>

#include "store/layout.h"

namespace larder::store {

void ReplayTable::create(const Record& record) {
  const bool is_packed = record.type == RecordType::Packed;
  if (record.length > kLengthLimit || is_packed_length(record.length) != is_packed) return;
  if (is_packed != (record.location.segment != 0) || record.location.slot_units == 0) return;
  if (const auto& newest = by_key_.find(record.key)) {
    if (newest->id >= record.generation) return;
    forget(newest);
  }
  if (const auto& same = by_id_.find(record.generation)) {
    // One id for two keys: no journal of ours says so; neither is to be trusted.
    forget(same);
    return;
  }
  auto generation = std::make_shared<Generation>(drive_, record.generation, record.key,
                                                 record.length, record.location);
  generation->is_recorded = true;
  if (is_packed && record.length > 0) generation->add_slice(0, record.checksum);
  by_id_.insert(generation);
  by_key_.insert(std::move(generation));
}

void ReplayTable::forget(std::shared_ptr<Generation> generation) {
  by_id_.take(generation->id);
  by_key_.take(generation->key);
}

void ReplayTable::apply(const Record& record) {
  highest_ = std::max(highest_, record.generation);
  if (record.type == RecordType::Large || record.type == RecordType::Packed) {
    create(record);
    return;
  }
  const auto& entry = by_id_.find(record.generation);
  if (!entry) return;
  if (record.type == RecordType::Remove) {
    forget(entry);
    return;
  }
  Generation& generation = *entry;
  if (generation.is_packed() || record.slice >= slice_count_of(generation.length)) return;
  if (record.type == RecordType::Slice) {
    generation.add_slice(record.slice, record.checksum);
  } else {
    generation.drop_slice(record.slice);
  }
}

std::vector<std::shared_ptr<Generation>> ReplayTable::take() {
  std::vector<std::shared_ptr<Generation>> all;
  all.reserve(by_id_.size());
  by_id_.visit([&](const std::shared_ptr<Generation>& generation) {
    generation->slices.shrink_to_fit();
    all.push_back(generation);
  });
  by_id_ = {};
  by_key_ = {};
  std::ranges::sort(all, {}, [](const auto& generation) { return generation->id; });
  return all;
}

}  // namespace larder::store
