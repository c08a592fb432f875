// The records of a drive's journal as bytes (grammar in docs/formats.md). Pure.
//
// A record's checksum is seeded with the journal's epoch and the record's offset: bytes of another
// journal, or of another place in this one, are never taken for a record.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "store/object.h"

namespace larder::store {

inline constexpr std::uint32_t kFormatVersion = 2;
inline constexpr std::size_t kJournalHeaderSize = 48;
inline constexpr std::size_t kRecordLimit = 100;
inline constexpr std::uint32_t kSlicesPerRecord = 9;
inline constexpr std::uint32_t kUsesPerRecord = 11;

enum class RecordType : std::uint8_t {  // stored on disk, do not renumber
  Large = 1,                            // a generation with a file of its own
  Packed = 2,                           // a generation in a segment, complete
  Slice = 3,                            // a slice of a large generation is stored
  DropSlice = 4,
  Remove = 5,
  Slices = 6,  // neighbouring slices of a large generation, written by compaction
  Pin = 7,     // a generation is pinned, or not any more
  Uses = 8,    // some generations were hit since what stands before
};

// Where a generation lies. `segment` 0 is a file of its own; block and slot are counts of
// kBlockSize and kSlotUnit bytes.
struct Location {
  std::uint32_t segment = 0;
  std::uint32_t block = 0;
  std::uint16_t slot_units = 0;
  friend bool operator==(const Location&, const Location&) = default;
};

struct Record {
  RecordType type = RecordType::Remove;
  std::uint64_t generation = 0;
  Key key{};  // Large, Packed, and so down to `was_hit`
  std::uint64_t length = 0;
  Location location{};  // of Large only slot_units
  std::uint16_t group = 0;
  std::uint8_t age = 0;      // epochs since the last use (eviction.h), at most 255
  bool is_snapshot = false;  // written by compaction: no bytes were written with it
  bool was_hit = false;
  bool is_pinned = false;      // Pin too
  std::uint32_t slice = 0;     // Slice, DropSlice, Slices: the (first) index
  std::uint64_t checksum = 0;  // Slice, Packed: xxh3-64 of the bytes
  std::uint32_t count = 0;     // Slices, Uses: of values
  // Slices: checksums, at most kSlicesPerRecord; Uses: generations, in place of `generation`
  std::array<std::uint64_t, kUsesPerRecord> values{};
  friend bool operator==(const Record&, const Record&) = default;
};

struct JournalHeader {
  std::uint32_t version = kFormatVersion;
  std::uint64_t epoch = 0;
  std::array<std::uint8_t, 16> drive{};
};

std::array<std::uint8_t, kJournalHeaderSize> encode(const JournalHeader& header);
// Nothing when the bytes are no journal header. The version may be one that we do not know.
std::optional<JournalHeader> parse_journal_header(std::span<const std::uint8_t> bytes);

struct EncodedRecord {
  std::array<std::uint8_t, kRecordLimit> bytes{};
  std::size_t size = 0;
  std::span<const std::uint8_t> view() const { return std::span(bytes).first(size); }
};
// `offset` is where the record will stand in its journal.
EncodedRecord encode(const Record& record, std::uint64_t epoch, std::uint64_t offset);

// Bytes that the record takes.
std::size_t size_of(const Record& record);

struct ParsedRecords {
  std::size_t consumed = 0;  // bytes of whole valid records
  bool needs_more = false;   // stopped at the end of the bytes, not at a wrong record
};
// Gives the records that `bytes`, which start at `offset` of their journal, hold up to the first
// incomplete or wrong one.
ParsedRecords parse_records(std::span<const std::uint8_t> bytes, std::uint64_t epoch,
                            std::uint64_t offset, const std::function<void(const Record&)>& sink);

}  // namespace larder::store
