// The fixed parts of a drive's files: a metadata slot and the identity. What is written is read
// back as it was, and one wrong byte is never taken for something whole.
#include <fuzzer/FuzzedDataProvider.h>

#include <string>

#include "base/encoding.h"
#include "require.h"
#include "store/layout.h"
#include "store/orders.h"

namespace {

using larder::store::SlotContent;

void check_identity(FuzzedDataProvider& input) {
  larder::store::Identity identity;
  identity.drive.fill(input.ConsumeIntegral<std::uint8_t>());
  identity.secret.fill(input.ConsumeIntegral<std::uint8_t>());
  std::string file = larder::store::encode_identity(identity);
  const auto back = larder::store::parse_identity(file);
  require(back && back->drive == identity.drive && back->secret == identity.secret);
  const auto at = input.ConsumeIntegralInRange<std::size_t>(0, file.size() - 1);
  file[at] = static_cast<char>(file[at] ^ input.ConsumeIntegralInRange<int>(1, 255));
  const auto wrong = larder::store::parse_identity(file);
  require(!wrong || wrong->version != identity.version);

  const auto segment = input.ConsumeIntegral<std::uint32_t>();
  const std::string block = larder::store::encode_segment_header(identity.drive, segment);
  require(larder::store::is_segment_header(block, identity.drive, segment));
  require(!larder::store::is_segment_header(block, identity.drive, segment + 1));
}

void check_names(FuzzedDataProvider& input) {
  const auto number = input.ConsumeIntegral<std::uint64_t>();
  for (const auto& name : {larder::store::large_file_name(number),
                           larder::store::segment_file_name(static_cast<std::uint32_t>(number))}) {
    const auto back = larder::store::parse_file_number(name.substr(name.rfind('/') + 1));
    require(back == number || back == static_cast<std::uint32_t>(number));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  if (const auto slot = larder::store::parse_slot(raw)) require(slot->metadata.size() <= size);
  (void)larder::store::parse_identity(raw);
  (void)larder::store::parse_file_number(raw);
  // What reads as orders is written so, too.
  if (const auto book = larder::store::parse_orders(raw))
    require(larder::store::encode_orders(*book) == raw);

  FuzzedDataProvider input(data, size);
  check_identity(input);
  check_names(input);
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
  require(larder::store::checksum_of(larder::base::as_bytes(metadata)) ==
          larder::store::checksum_of(larder::base::as_bytes(whole.metadata)));
  slot[at % written] = static_cast<char>(slot[at % written] ^ static_cast<char>(flip));
  require(!larder::store::parse_slot(slot));
  return 0;
}
