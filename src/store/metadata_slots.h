// The two metadata slots of a generation in its file (docs/formats.md). Blocking.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "store/journal_format.h"

namespace larder::store {

struct Generation;

// Whose slots, and where.
struct SlotOwner {
  Key key{};
  std::uint64_t generation = 0;
  std::uint64_t length = 0;
  Location location{};

  static SlotOwner of(const Generation& generation);
};

struct ReadSlot {
  std::uint64_t sequence = 0;
  std::string metadata;
};

// `path` is for messages.
base::Status write_slot(const SlotOwner& owner, int fd, std::uint64_t sequence,
                        std::string_view metadata, const std::string& path);
// The newer of the slots that are whole and this owner's; DataLoss when there is none.
base::Result<ReadSlot> read_slots(const SlotOwner& owner, int fd, const std::string& path);

}  // namespace larder::store
