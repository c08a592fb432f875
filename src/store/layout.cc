#include "store/layout.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "store/byte_order.h"

namespace larder::store {
namespace {

constexpr std::string_view kSlotMagic = "LARDERSL";
constexpr std::string_view kIdentityMagic = "LARDERST";
constexpr std::string_view kSegmentMagic = "LARDERSG";
constexpr std::size_t kIdentitySize = 56;

std::uint8_t* bytes_of(std::string& text) {
  return reinterpret_cast<std::uint8_t*>(text.data());
}
const std::uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

std::string hex_number(std::uint64_t number, int digits) {
  std::string text(static_cast<std::size_t>(digits), '0');
  for (auto at = text.rbegin(); at != text.rend(); ++at) {
    *at = "0123456789abcdef"[number & 15];
    number >>= 4;
  }
  return text;
}

}  // namespace

std::uint64_t checksum_of(std::span<const std::uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

// magic 8, version u32, metadata size u32, sequence u64, key 16, generation u64, length u64,
// checksum u64 over all before it and the metadata
std::string encode_slot(const SlotContent& content) {
  std::string slot(kSlotHeaderSize, '\0');
  std::ranges::copy(kSlotMagic, slot.begin());
  std::uint8_t* at = bytes_of(slot);
  store_le(at + 8, kFormatVersion);
  store_le(at + 12, static_cast<std::uint32_t>(content.metadata.size()));
  store_le(at + 16, content.sequence);
  store_le(at + 24, content.key.high);
  store_le(at + 32, content.key.low);
  store_le(at + 40, content.generation);
  store_le(at + 48, content.length);
  slot += content.metadata;
  at = bytes_of(slot);
  const std::uint64_t header = XXH3_64bits(at, 56);
  store_le(at + 56, XXH3_64bits_withSeed(at + kSlotHeaderSize, content.metadata.size(), header));
  return slot;
}

std::optional<SlotContent> parse_slot(std::string_view slot) {
  if (slot.size() < kSlotHeaderSize || !slot.starts_with(kSlotMagic)) return std::nullopt;
  const std::uint8_t* at = bytes_of(slot);
  const auto size = load_le<std::uint32_t>(at + 12);
  if (load_le<std::uint32_t>(at + 8) != kFormatVersion || size > slot.size() - kSlotHeaderSize) {
    return std::nullopt;
  }
  const std::uint64_t header = XXH3_64bits(at, 56);
  if (load_le<std::uint64_t>(at + 56) != XXH3_64bits_withSeed(at + kSlotHeaderSize, size, header)) {
    return std::nullopt;
  }
  return SlotContent{
      .sequence = load_le<std::uint64_t>(at + 16),
      .key = {.high = load_le<std::uint64_t>(at + 24), .low = load_le<std::uint64_t>(at + 32)},
      .generation = load_le<std::uint64_t>(at + 40),
      .length = load_le<std::uint64_t>(at + 48),
      .metadata = slot.substr(kSlotHeaderSize, size)};
}

// magic 8, version u32, reserved u32, drive 16, secret 16, checksum u64
std::string encode_identity(const Identity& identity) {
  std::string file(kIdentitySize, '\0');
  std::ranges::copy(kIdentityMagic, file.begin());
  std::uint8_t* at = bytes_of(file);
  store_le(at + 8, identity.version);
  std::ranges::copy(identity.drive, at + 16);
  std::ranges::copy(identity.secret, at + 32);
  store_le(at + 48, XXH3_64bits(at, 48));
  return file;
}

std::optional<Identity> parse_identity(std::string_view file) {
  if (file.size() < 12 || !file.starts_with(kIdentityMagic)) return std::nullopt;
  const std::uint8_t* at = bytes_of(file);
  Identity identity{.version = load_le<std::uint32_t>(at + 8)};
  if (identity.version != kFormatVersion) return identity;
  if (file.size() != kIdentitySize || load_le<std::uint64_t>(at + 48) != XXH3_64bits(at, 48)) {
    identity.version = 0;  // damaged: as good as unknown
    return identity;
  }
  std::copy_n(at + 16, identity.drive.size(), identity.drive.begin());
  std::copy_n(at + 32, identity.secret.size(), identity.secret.begin());
  return identity;
}

// magic 8, version u32, segment u32, drive 16, zeros to the block's end
std::string encode_segment_header(const std::array<std::uint8_t, 16>& drive,
                                  std::uint32_t segment) {
  std::string block(kBlockSize, '\0');
  std::ranges::copy(kSegmentMagic, block.begin());
  std::uint8_t* at = bytes_of(block);
  store_le(at + 8, kFormatVersion);
  store_le(at + 12, segment);
  std::ranges::copy(drive, at + 16);
  return block;
}

bool is_segment_header(std::string_view block, const std::array<std::uint8_t, 16>& drive,
                       std::uint32_t segment) {
  return block == encode_segment_header(drive, segment);
}

std::string large_folder_name(std::uint64_t generation) {
  return "objects/" + hex_number(generation % 64, 2);
}
std::string large_file_name(std::uint64_t generation) {
  return large_folder_name(generation) + "/" + hex_number(generation, 16);
}
std::string segment_file_name(std::uint32_t segment) {
  return "segments/" + hex_number(segment, 8);
}

std::optional<std::uint64_t> parse_file_number(std::string_view name) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number, 16);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace larder::store
