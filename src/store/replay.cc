#include "store/replay.h"

#include <algorithm>

#include "store/layout.h"

namespace larder::store {

void ReplayTable::create(const Record& record) {
  const bool is_packed = record.type == RecordType::Packed;
  if (record.length > kLengthLimit || is_packed_length(record.length) != is_packed) return;
  if (is_packed != (record.location.segment != 0) || record.location.slot_units == 0) return;
  const auto [newest, is_first] = newest_.try_emplace(record.key, record.generation);
  if (!is_first) {
    if (newest->second >= record.generation) return;
    generations_.erase(newest->second);
    newest->second = record.generation;
  }
  const auto [entry, is_new] = generations_.try_emplace(record.generation);
  if (!is_new) {
    // One id for two keys: no journal of ours says so; neither is to be trusted.
    newest_.erase(entry->second->key);
    newest_.erase(record.key);
    generations_.erase(entry);
    return;
  }
  entry->second = std::make_shared<Generation>(drive_, record.generation, record.key, record.length,
                                               record.location);
  entry->second->is_recorded = true;
  if (is_packed && record.length > 0) entry->second->add_slice(0, record.checksum);
}

void ReplayTable::apply(const Record& record) {
  highest_ = std::max(highest_, record.generation);
  if (record.type == RecordType::Large || record.type == RecordType::Packed) {
    create(record);
    return;
  }
  const auto entry = generations_.find(record.generation);
  if (entry == generations_.end()) return;
  Generation& generation = *entry->second;
  if (record.type == RecordType::Remove) {
    newest_.erase(generation.key);
    generations_.erase(entry);
    return;
  }
  if (generation.is_packed() || record.slice >= slice_count_of(generation.length)) return;
  if (record.type == RecordType::Slice) {
    generation.add_slice(record.slice, record.checksum);
  } else {
    generation.drop_slice(record.slice);
  }
}

std::vector<std::shared_ptr<Generation>> ReplayTable::take() {
  std::vector<std::shared_ptr<Generation>> all;
  all.reserve(generations_.size());
  for (auto& [id, generation] : generations_) {
    generation->slices.shrink_to_fit();
    all.push_back(std::move(generation));
  }
  generations_.clear();
  newest_.clear();
  std::ranges::sort(all, {}, [](const auto& generation) { return generation->id; });
  return all;
}

}  // namespace larder::store
