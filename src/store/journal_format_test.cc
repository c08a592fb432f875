#include "store/journal_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "store/layout.h"
#include "store/replay.h"

namespace larder::store {
namespace {

Record large(std::uint64_t id, std::uint64_t key, std::uint64_t length = 3 * kSliceSize) {
  return {.type = RecordType::Large,
          .generation = id,
          .key = {.high = key, .low = key},
          .length = length,
          .location = {.slot_units = 4}};
}
Record packed(std::uint64_t id, std::uint64_t key) {
  return {.type = RecordType::Packed,
          .generation = id,
          .key = {.high = key, .low = key},
          .length = 100,
          .location = {.segment = 3, .block = 7, .slot_units = 1},
          .checksum = 0x1122334455667788};
}
Record slice(std::uint64_t id, std::uint32_t index, std::uint64_t checksum = 5) {
  return {.type = RecordType::Slice, .generation = id, .slice = index, .checksum = checksum};
}
Record removed(std::uint64_t id) {
  return {.type = RecordType::Remove, .generation = id};
}

std::vector<Record> all_kinds() {
  return {large(1, 10),
          packed(2, 20),
          slice(1, 2, ~0ULL),
          {.type = RecordType::DropSlice, .generation = 1, .slice = 2},
          {.type = RecordType::Slices,
           .generation = 1,
           .slice = 0,
           .count = 3,
           .checksums = {7, ~0ULL, 9}},
          {.type = RecordType::Pin, .generation = 1, .is_pinned = true},
          {.type = RecordType::Packed,
           .generation = 3,
           .key = {.high = 1, .low = 2},
           .length = 1,
           .location = {.segment = 1, .block = 2, .slot_units = 3},
           .group = 700,
           .age = 200,
           .is_snapshot = true,
           .was_hit = true,
           .is_pinned = true,
           .checksum = 4},
          removed(2)};
}

std::vector<std::uint8_t> encode_all(const std::vector<Record>& records, std::uint64_t epoch,
                                     std::uint64_t offset) {
  std::vector<std::uint8_t> bytes;
  for (const Record& record : records) {
    const EncodedRecord encoded = encode(record, epoch, offset + bytes.size());
    bytes.insert(bytes.end(), encoded.view().begin(), encoded.view().end());
  }
  return bytes;
}

TEST(JournalFormat, RecordsRoundTripAndAreShort) {
  const auto bytes = encode_all(all_kinds(), 42, 48);
  EXPECT_LE(bytes.size(), all_kinds().size() * kRecordLimit);
  std::vector<Record> parsed;
  const ParsedRecords result =
      parse_records(bytes, 42, 48, [&](const Record& record) { parsed.push_back(record); });
  EXPECT_EQ(result.consumed, bytes.size());
  EXPECT_TRUE(result.needs_more);
  EXPECT_EQ(parsed, all_kinds());
}

TEST(JournalFormat, RecordsOfAnotherEpochOrPlaceAreNotRecords) {
  const auto bytes = encode_all(all_kinds(), 42, 48);
  const auto none = [](const Record&) { FAIL(); };
  EXPECT_EQ(parse_records(bytes, 43, 48, none).consumed, 0U);
  EXPECT_EQ(parse_records(bytes, 42, 49, none).consumed, 0U);
}

TEST(JournalFormat, HeaderTellsItsVersionAlsoWhenItIsNotOurs) {
  auto bytes = encode(JournalHeader{.epoch = 9});
  EXPECT_EQ(parse_journal_header(bytes)->epoch, 9U);
  bytes[17] ^= 1;
  EXPECT_FALSE(parse_journal_header(bytes)) << "wrong checksum";
  bytes[8] = 200;
  EXPECT_EQ(parse_journal_header(bytes)->version, 200U);
  EXPECT_FALSE(parse_journal_header(std::span(bytes).first(47)));
}

struct Left {
  std::uint64_t id = 0;
  Record creation{};
  std::vector<StoredSlice> slices{};
};

// What is left after the records, in the order of ids.
std::vector<Left> replay(const std::vector<Record>& records) {
  Index index;
  index.set_drives({nullptr});
  Replay into(index, 0);
  for (const Record& record : records) into.apply(record);
  std::vector<Left> live;
  IndexPosition at;
  std::uint64_t bytes = 0;
  while (index.visit(at, 64, [&](const Entry& entry) {
    Left& left = live.emplace_back(Left{.id = entry.id});
    left.creation = {.type = entry.is_packed() ? RecordType::Packed : RecordType::Large,
                     .generation = entry.id,
                     .key = entry.key,
                     .length = entry.length,
                     .location = entry.location()};
    if (!entry.is_packed()) {
      left.slices.assign(entry.list().view().begin(), entry.list().view().end());
    } else if (entry.has_slice) {
      left.slices.emplace_back(0, entry.checksum);
    }
    bytes += entry.stored_bytes();
  })) {
  }
  EXPECT_EQ(index.objects(), live.size());
  EXPECT_EQ(index.bytes(), bytes);
  std::ranges::sort(live, {}, &Left::id);
  return live;
}

TEST(Replay, KeepsTheNewestGenerationOfAKey) {
  const auto live = replay({large(1, 10), slice(1, 0), large(2, 10), slice(2, 1), slice(1, 2)});
  ASSERT_EQ(live.size(), 1U);
  EXPECT_EQ(live[0].id, 2U);
  ASSERT_EQ(live[0].slices.size(), 1U);
  EXPECT_EQ(live[0].slices[0].index, 1U);
}

TEST(Replay, ReadsNeighbouringSlicesFromOneRecord) {
  const Record slices{
      .type = RecordType::Slices, .generation = 1, .slice = 1, .count = 2, .checksums = {5, 6}};
  const auto live = replay({large(1, 10), slices});
  ASSERT_EQ(live[0].slices.size(), 2U);
  EXPECT_EQ(live[0].slices[1].index, 2U);
  EXPECT_EQ(live[0].slices[1].checksum(), 6U);
}

TEST(Replay, PassesOverWhatMakesNoSense) {
  Record no_slot = large(5, 50);
  no_slot.location.slot_units = 0;
  const auto live = replay({slice(9, 0), removed(9), large(1, 10), slice(1, 3), large(2, 20, 100),
                            large(3, 30, kLengthLimit + 1), no_slot, packed(6, 60), slice(6, 0)});
  ASSERT_EQ(live.size(), 2U);
  EXPECT_TRUE(live[0].slices.empty()) << "slice 3 of 3 does not exist";
  EXPECT_EQ(live[1].slices[0].checksum(), 0x1122334455667788U);
}

// What compaction relies on: a snapshot taken at any moment during a sequence, then the sequence.
TEST(Replay, OfASequenceAfterASnapshotWithPartOfItGivesTheSame) {
  const std::vector<Record> sequence = {
      large(1, 10),
      slice(1, 0),
      packed(2, 20),
      large(3, 10),
      slice(3, 1),
      slice(3, 0),
      {.type = RecordType::DropSlice, .generation = 3, .slice = 1},
      removed(2),
      packed(4, 20),
      slice(1, 1),
      removed(4),
      large(5, 10),
      removed(5)};
  const auto text = [](const std::vector<Left>& live) {
    std::string out;
    for (const auto& generation : live) {
      out += std::to_string(generation.id) + ":";
      for (const StoredSlice& stored : generation.slices) out += std::to_string(stored.index) + ",";
    }
    return out;
  };
  for (std::size_t end = 0; end <= sequence.size(); ++end) {
    const std::vector<Record> whole(sequence.begin(),
                                    sequence.begin() + static_cast<std::ptrdiff_t>(end));
    const std::string expected = text(replay(whole));
    for (std::size_t cut = 0; cut <= end; ++cut) {
      std::vector<Record> records;
      for (const auto& generation :
           replay({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)})) {
        records.push_back(generation.creation);
        for (const StoredSlice& stored : generation.slices) {
          if (generation.creation.type == RecordType::Large)
            records.push_back(slice(generation.id, stored.index));
        }
      }
      records.insert(records.end(), whole.begin(), whole.end());
      EXPECT_EQ(text(replay(records)), expected) << cut << " of " << end;
    }
  }
}

}  // namespace
}  // namespace larder::store
