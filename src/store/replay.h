// ReplayTable: the generations that a sequence of journal records leaves. Pure.
//
// It takes any records in any order without failing: a record that makes no sense (a slice of an
// unknown generation, an older generation of a key, a place outside the object) is passed over.
// Applying a sequence after a snapshot that already holds part of its effects gives the same result
// as the sequence alone; compaction relies on that.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "store/generation.h"

namespace larder::store {

struct KeyHash {
  std::size_t operator()(const Key& key) const { return static_cast<std::size_t>(key.low); }
};

class ReplayTable {
 public:
  explicit ReplayTable(Drive* drive) : drive_(drive) {}

  void apply(const Record& record);
  // In the order of their ids.
  std::vector<std::shared_ptr<Generation>> take();
  // Of all generations that were ever named.
  std::uint64_t highest_generation() const { return highest_; }

 private:
  void create(const Record& record);

  Drive* drive_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Generation>> generations_;
  std::unordered_map<Key, std::uint64_t, KeyHash> newest_;
  std::uint64_t highest_ = 0;
};

}  // namespace larder::store
