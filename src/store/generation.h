// Generation: a stored object that somebody holds or has open. What nobody holds is only an Entry
// of the index.
#pragma once

#include <atomic>
#include <cstdint>

#include "store/journal_format.h"
#include "store/object.h"
#include "store/slice_list.h"

namespace larder::store {

class Drive;

struct Generation {
  Generation(Drive* on, std::uint64_t number, const Key& of, std::uint64_t bytes,
             const Location& at, std::uint16_t in)
      : drive(on), id(number), key(of), length(bytes), location(at), group(in) {}
  // A removed generation gives its space back to the drive here: nobody can read it any more.
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  bool is_packed() const { return location.segment != 0; }

  Drive* const drive;  // null in tests of the index alone
  const std::uint64_t id;
  const Key key;
  const std::uint64_t length;
  const Location location;
  const std::uint16_t group;              // Groups (groups.h)
  std::atomic<bool> was_removed = false;  // set under the index's lock, once
  std::atomic<bool> is_recorded = false;  // its creation is in the journal
  // Guarded by the index's lock. What its entry said, once it was removed: whoever holds it still
  // reads and verifies it.
  std::uint64_t cost = 0;  // bytes charged to the drive
  SliceList slices{};      // packed ones have at most one, too
};

}  // namespace larder::store
