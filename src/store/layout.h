// Where things are inside a drive's folder and inside its data files, and what they cost on disk
// (grammar in docs/formats.md). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "store/journal_format.h"
#include "store/object.h"

namespace larder::store {

inline constexpr std::uint64_t kBlockSize = 4096;  // what files are charged in
inline constexpr std::uint64_t kSlotUnit = 512;
inline constexpr std::uint64_t kSlotHeaderSize = 64;
// Longest object that we take, so that slice numbers and offsets never overflow.
inline constexpr std::uint64_t kLengthLimit = 1ULL << 44;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

constexpr std::uint32_t slice_count_of(std::uint64_t length) {
  return static_cast<std::uint32_t>((length + kSliceSize - 1) / kSliceSize);
}
constexpr std::uint64_t slice_length_of(std::uint64_t length, std::uint32_t index) {
  const std::uint64_t begin = index * kSliceSize;
  return length - begin < kSliceSize ? length - begin : kSliceSize;
}
// An object of at most one slice is packed into a segment.
constexpr bool is_packed_length(std::uint64_t length) {
  return length <= kSliceSize;
}

// A generation's place in its file: metadata slot 0, slot 1, then the bytes.
constexpr std::uint64_t base_offset(const Location& at) {
  return at.block * kBlockSize;
}
constexpr std::uint64_t slot_size(const Location& at) {
  return at.slot_units * kSlotUnit;
}
constexpr std::uint64_t slot_offset(const Location& at, std::uint64_t sequence) {
  return base_offset(at) + (sequence % 2) * slot_size(at);
}
constexpr std::uint64_t data_offset(const Location& at) {
  return base_offset(at) + 2 * slot_size(at);
}
// Slots leave room for metadata to grow a little; a large object's bytes start at a block.
constexpr std::uint16_t slot_units_for(std::uint64_t metadata_size, bool is_packed) {
  const std::uint64_t unit = is_packed ? kSlotUnit : kBlockSize / 2;
  const std::uint64_t size = round_up(kSlotHeaderSize + metadata_size + 256, unit);
  return static_cast<std::uint16_t>(size / kSlotUnit);
}

// What is charged to the drive. A file's own blocks plus its share of the file system's.
constexpr std::uint64_t packed_size(const Location& at, std::uint64_t length) {
  return round_up(2 * slot_size(at) + length, kBlockSize);
}
constexpr std::uint64_t large_base_cost(const Location& at) {
  return round_up(2 * slot_size(at), kBlockSize) + 2 * kBlockSize;
}
// Of a generation; a packed one pays for its slice from the start.
constexpr std::uint64_t cost_without_slices(const Location& at, std::uint64_t length) {
  return is_packed_length(length) ? packed_size(at, length) : large_base_cost(at);
}
constexpr std::uint64_t slice_cost(std::uint64_t slice_length) {
  return round_up(slice_length, kBlockSize) + kBlockSize;
}
constexpr std::uint64_t segment_cost(std::uint64_t segment_size) {
  return 2 * kBlockSize + round_up(segment_size / 1024, kBlockSize);
}
// Folders, lock and identity file.
inline constexpr std::uint64_t kDriveCost = 512 * 1024;

// Metadata slot: header and metadata, in at most slot_size bytes.
struct SlotContent {
  std::uint64_t sequence = 0;
  Key key{};
  std::uint64_t generation = 0;
  std::uint64_t length = 0;
  std::string_view metadata{};
};
std::string encode_slot(const SlotContent& content);
// Nothing unless the slot is whole and right. The metadata points into `slot`.
std::optional<SlotContent> parse_slot(std::string_view slot);

// The file `store` of a drive.
struct Identity {
  std::uint32_t version = kFormatVersion;
  std::array<std::uint8_t, 16> drive{};
  std::array<std::uint8_t, 16> secret{};
};
std::string encode_identity(const Identity& identity);
// Nothing when it is not the identity file of a store. Of an unknown version only that is set; a
// damaged file has version 0.
std::optional<Identity> parse_identity(std::string_view file);

// First block of a segment.
std::string encode_segment_header(const std::array<std::uint8_t, 16>& drive, std::uint32_t segment);
bool is_segment_header(std::string_view block, const std::array<std::uint8_t, 16>& drive,
                       std::uint32_t segment);

// Names below the drive's folder.
std::string large_folder_name(std::uint64_t generation);  // objects/3f
std::string large_file_name(std::uint64_t generation);    // objects/3f/000000000000003f
std::string segment_file_name(std::uint32_t segment);     // segments/00000001
std::optional<std::uint64_t> parse_file_number(std::string_view name);  // of the last component

std::uint64_t checksum_of(std::span<const std::uint8_t> bytes);

}  // namespace larder::store
