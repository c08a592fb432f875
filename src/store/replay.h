// ReplayTable: the generations that a sequence of journal records leaves. Pure.
//
// It takes any records in any order without failing: a record that makes no sense (a slice of an
// unknown generation, an older generation of a key, a place outside the object) is passed over.
// Applying a sequence after a snapshot that already holds part of its effects gives the same result
// as the sequence alone; compaction relies on that.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "store/generation_table.h"

namespace larder::store {

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
  void forget(std::shared_ptr<Generation> generation);

  Drive* drive_;
  GenerationTable<ById> by_id_;
  GenerationTable<ByKey> by_key_;  // the same generations
  std::uint64_t highest_ = 0;
};

}  // namespace larder::store
