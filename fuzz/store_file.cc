// The fixed parts of a drive's files: a metadata slot and the identity. What is written is read
// back as it was, and one wrong byte is never taken for something whole.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>
#include <string>

#include "store/layout.h"

namespace {

using larder::store::SlotContent;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  if (const auto slot = larder::store::parse_slot(raw)) require(slot->metadata.size() <= size);
  (void)larder::store::parse_identity(raw);
  (void)larder::store::parse_file_number(raw);

  FuzzedDataProvider input(data, size);
  const SlotContent content{.sequence = input.ConsumeIntegral<std::uint64_t>(),
                            .key = {.high = input.ConsumeIntegral<std::uint64_t>(),
                                    .low = input.ConsumeIntegral<std::uint64_t>()},
                            .generation = input.ConsumeIntegral<std::uint64_t>(),
                            .length = input.ConsumeIntegral<std::uint64_t>()};
  const auto at = input.ConsumeIntegral<std::uint16_t>();
  const auto flip = input.ConsumeIntegral<std::uint8_t>();
  const std::string metadata = input.ConsumeRemainingBytesAsString();
  SlotContent whole = content;
  whole.metadata = metadata;
  std::string slot = larder::store::encode_slot(whole);
  const std::size_t written = slot.size();
  slot += std::string(at % 600, '\0');  // a slot is longer than what it holds
  const auto back = larder::store::parse_slot(slot);
  require(back && back->sequence == content.sequence && back->key == content.key &&
          back->generation == content.generation && back->length == content.length &&
          back->metadata == metadata);
  if (flip == 0) return 0;
  slot[at % written] = static_cast<char>(slot[at % written] ^ static_cast<char>(flip));
  require(!larder::store::parse_slot(slot));
  return 0;
}
