// A generation as compaction writes it into the new journal.
#pragma once

#include <cstdint>
#include <vector>

#include "store/entry_table.h"
#include "store/journal_format.h"

namespace larder::store {

// `age`: epochs since its last use. Neighbouring slices share a record.
void add_snapshot(const Entry& entry, std::uint16_t age, std::vector<Record>& out);

}  // namespace larder::store
