#include "store/journal_format.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "store/byte_order.h"
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
Record used(std::initializer_list<std::uint64_t> ids) {
  Record record{.type = RecordType::Uses, .count = static_cast<std::uint32_t>(ids.size())};
  std::ranges::copy(ids, record.values.begin());
  return record;
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
           .values = {7, ~0ULL, 9}},
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
          used({2}),
          used({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, (1ULL << 48) - 1}),
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

TEST(JournalFormat, NamesAtLeastOneUseAndNoMoreThanFit) {
  for (const std::size_t size : {10U, 106U}) {
    // With a right checksum, as only a damaged program would write it.
    std::vector<std::uint8_t> bytes(size);
    bytes[8] = static_cast<std::uint8_t>(RecordType::Uses);
    bytes[9] = static_cast<std::uint8_t>(size);
    store_le(bytes.data(),
             XXH3_64bits_withSeed(bytes.data() + 8, size - 8, 42 ^ (48 * 0x9E3779B97F4A7C15)));
    EXPECT_EQ(parse_records(bytes, 42, 48, [](const Record&) { FAIL(); }).consumed, 0U) << size;
  }
}

struct Left {
  std::uint64_t id = 0;
  std::uint16_t stamp = 0;
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
    Left& left =
        live.emplace_back(Left{.id = entry.id, .stamp = static_cast<std::uint16_t>(entry.stamp)});
    left.creation = {.type = entry.is_packed() ? RecordType::Packed : RecordType::Large,
                     .generation = entry.id,
                     .key = entry.key,
                     .length = entry.length,
                     .location = entry.location(),
                     .age = static_cast<std::uint8_t>(index.age_of(entry)),
                     .is_snapshot = true,
                     .was_hit = entry.was_hit != 0};
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
      .type = RecordType::Slices, .generation = 1, .slice = 1, .count = 2, .values = {5, 6}};
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

TEST(Replay, OfUsesMakesThoseGenerationsHitAndYoungAndPassesOverUnknownOnes) {
  const auto live = replay({large(1, 10), large(2, 20), slice(2, 0), slice(2, 1), slice(2, 2),
                            used({1, 77, kGenerationLimit, ~0ULL})});
  ASSERT_EQ(live.size(), 2U);
  EXPECT_TRUE(live[0].creation.was_hit);
  EXPECT_EQ(live[0].creation.age, 0U) << "of three epochs";
  EXPECT_FALSE(live[1].creation.was_hit);
}

TEST(Replay, OfUsesAtEveryCutKnowsThoseBefore) {
  const std::vector<Record> records = {large(1, 10),    packed(2, 20), large(3, 30),
                                       slice(3, 0),     used({2}),     slice(3, 1),
                                       used({1, 3, 2}), removed(2),    used({2})};
  const auto bytes = encode_all(records, 42, 48);
  std::size_t whole = 0;  // records before the cut
  std::size_t end = 0;    // of them in bytes
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    if (whole < records.size() && cut - end == encode(records[whole], 42, 48).size) {
      end = cut;
      ++whole;
    }
    std::vector<Record> read;
    static_cast<void>(parse_records(std::span(bytes).first(cut), 42, 48,
                                    [&](const Record& record) { read.push_back(record); }));
    ASSERT_EQ(read.size(), whole) << cut;
    for (const Left& left : replay(read)) {
      const bool was_hit = whole > 6 || (left.id == 2 && whole > 4);
      EXPECT_EQ(left.creation.was_hit, was_hit) << left.id << " at " << cut;
    }
  }
  EXPECT_EQ(whole, records.size());
}

// What compaction relies on: a snapshot taken at any moment during a sequence, then the sequence.
TEST(Replay, OfASequenceAfterASnapshotWithPartOfItGivesTheSame) {
  const std::vector<Record> sequence = {
      large(1, 10),  slice(1, 0),
      packed(2, 20), large(3, 10),
      slice(3, 1),   used({2}),
      slice(3, 0),   {.type = RecordType::DropSlice, .generation = 3, .slice = 1},
      large(6, 60),  slice(6, 0),
      used({3, 2}),  large(7, 70),
      slice(6, 1),   used({7}),
      removed(2),    used({2, 6}),
      packed(4, 20), slice(1, 1),
      removed(4),    large(8, 80),
      slice(8, 2),   used({3}),
      large(5, 10),  removed(5)};
  const auto text = [](std::vector<Left> live) {
    // By their age to eviction as well; only the order counts.
    std::ranges::sort(live, {}, [](const Left& left) { return std::pair(left.stamp, left.id); });
    std::string out;
    for (std::size_t i = 0; i < live.size(); ++i) {
      const Left& left = live[i];
      out += i > 0 && live[i - 1].stamp < left.stamp ? " < " : " ";
      out += std::to_string(left.id) + (left.creation.was_hit ? " hit:" : ":");
      for (const StoredSlice& stored : left.slices) out += std::to_string(stored.index) + ",";
    }
    return out;
  };
  EXPECT_EQ(text(replay(sequence)), " 6 hit:0,1, 7 hit: < 8:2,");
  for (std::size_t end = 0; end <= sequence.size(); ++end) {
    const std::vector<Record> whole(sequence.begin(),
                                    sequence.begin() + static_cast<std::ptrdiff_t>(end));
    const std::string expected = text(replay(whole));
    for (std::size_t cut = 0; cut <= end; ++cut) {
      std::vector<Record> records;
      for (const auto& generation :
           replay({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)})) {
        records.push_back(generation.creation);
        if (generation.creation.type != RecordType::Large) continue;
        for (const StoredSlice& stored : generation.slices) {
          records.push_back({.type = RecordType::Slices,
                             .generation = generation.id,
                             .slice = stored.index,
                             .count = 1,
                             .values = {stored.checksum()}});
        }
      }
      records.insert(records.end(), whole.begin(), whole.end());
      EXPECT_EQ(text(replay(records)), expected) << cut << " of " << end;
    }
  }
}

}  // namespace
}  // namespace larder::store
