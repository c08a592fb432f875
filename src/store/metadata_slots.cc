#include "store/metadata_slots.h"

#include <optional>

#include "base/encoding.h"
#include "store/file_access.h"
#include "store/generation.h"
#include "store/layout.h"

namespace larder::store {

SlotOwner SlotOwner::of(const Generation& generation) {
  return {.key = generation.key,
          .generation = generation.id,
          .length = generation.length,
          .location = generation.location};
}

base::Status write_slot(const SlotOwner& owner, int fd, std::uint64_t sequence,
                        std::string_view metadata, const std::string& path) {
  const std::string slot = encode_slot({.sequence = sequence,
                                        .key = owner.key,
                                        .generation = owner.generation,
                                        .length = owner.length,
                                        .metadata = metadata});
  const auto written = write_at(fd, base::as_bytes(slot), slot_offset(owner.location, sequence));
  if (!written) return std::unexpected(written.error().to_error(path));
  return {};
}

base::Result<ReadSlot> read_slots(const SlotOwner& owner, int fd, const std::string& path) {
  const std::uint64_t size = slot_size(owner.location);
  std::string slots(2 * size, '\0');
  const auto got = read_at(fd, {reinterpret_cast<std::uint8_t*>(slots.data()), slots.size()},
                           base_offset(owner.location));
  if (!got) return std::unexpected(got.error().to_error(path));
  std::optional<SlotContent> best;
  for (const std::uint64_t number : {0U, 1U}) {
    const auto slot = parse_slot(std::string_view(slots).substr(number * size, size));
    if (!slot || slot->key != owner.key || slot->generation != owner.generation ||
        slot->length != owner.length) {
      continue;
    }
    if (!best || slot->sequence > best->sequence) best = slot;
  }
  if (!best) {
    return base::fail(base::ErrorCode::DataLoss,
                      "the metadata of an object on " + path + " is not whole");
  }
  return ReadSlot{.sequence = best->sequence, .metadata = std::string(best->metadata)};
}

}  // namespace larder::store
