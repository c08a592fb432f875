// Removed: what is left to do for a generation that is found no more.
#pragma once

#include <cstdint>
#include <memory>

#include "store/journal_format.h"

namespace larder::store {

class Drive;
struct Generation;

// A generation that was taken out of the index. Who took it records the removal in the journal,
// then hands the space back: at once, or by letting go of `live` when somebody may hold it.
struct Removed {
  Drive* drive = nullptr;
  std::uint64_t id = 0;
  Location location{};
  std::uint64_t cost = 0;
  bool is_recorded = false;
  std::shared_ptr<Generation> live{};
};

}  // namespace larder::store
