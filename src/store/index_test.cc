#include "store/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "store/generation.h"
#include "store/replay.h"

namespace larder::store {
namespace {

Key key_of(std::uint64_t number) {
  return {.high = number * 0x9E3779B97F4A7C15, .low = number};
}

Record packed(std::uint64_t id, std::uint64_t key, std::uint64_t length = 4000) {
  return {.type = RecordType::Packed,
          .generation = id,
          .key = key_of(key),
          .length = length,
          .location = {.segment = 1, .block = 1, .slot_units = 1}};
}

TEST(EntryTable, HoldsWhatAMapHolds) {
  EntryTable table;
  std::map<std::uint64_t, std::uint64_t> expected;  // id by key
  std::mt19937_64 random(1);
  for (std::uint64_t step = 1; step < 100'000; ++step) {
    // Few names, some far apart: collisions and chains that wrap around.
    const Key key = {.high = 0, .low = (random() % 300) << (random() % 2 * 40)};
    const std::uint32_t slot = table.find(key);
    ASSERT_EQ(slot != EntryTable::kNone, expected.contains(key.low));
    if (slot == EntryTable::kNone) {
      table.at(table.insert(key)).id = step;
      expected[key.low] = step;
    } else {
      ASSERT_EQ(table.at(slot).id, expected[key.low]);
      table.erase(slot);
      expected.erase(key.low);
    }
    ASSERT_EQ(table.size(), expected.size());
  }
  std::uint32_t taken = 0;
  for (std::uint32_t slot = 0; slot < table.slots(); ++slot) taken += table.at(slot).is_taken;
  EXPECT_EQ(taken, expected.size());
  EXPECT_LT(table.slots(), 800U) << "freed slots are used again";
}

TEST(SliceList, HoldsWhatAMapHolds) {
  SliceList list;
  std::map<std::uint32_t, std::uint64_t> expected;
  std::mt19937_64 random(2);
  for (int step = 0; step < 20'000; ++step) {
    const auto index = static_cast<std::uint32_t>(random() % 60);
    if (random() % 2 == 0) {
      const std::uint64_t sum = random();
      ASSERT_EQ(list.add(index, sum), !expected.contains(index));
      expected[index] = sum;
    } else {
      ASSERT_EQ(list.drop(index), expected.erase(index) > 0);
    }
    ASSERT_EQ(list.count, expected.size());
  }
  auto known = expected.begin();
  for (const StoredSlice& slice : list.view()) {
    EXPECT_EQ(slice.index, known->first);
    EXPECT_EQ(slice.checksum(), known->second);
    EXPECT_EQ(list.find(slice.index), &slice);
    ++known;
  }
  EXPECT_EQ(list.find(99), nullptr);
  list.release();
}

class Eviction : public ::testing::Test {
 protected:
  Eviction() {
    index_.set_drives({nullptr, nullptr});
    index_.set_epoch_size(4000);
  }
  // What goes, in this order, until nothing is left.
  std::vector<std::uint64_t> evict(Evictor& evictor, std::size_t count, std::uint64_t keep = 0) {
    std::vector<std::uint64_t> ids;
    while (ids.size() < count) {
      const auto victim = evictor.next(index_, keep);
      if (!victim) break;
      ids.push_back(victim->id);
    }
    return ids;
  }
  Index index_;
  Replay zero_{index_, 0};
  Replay one_{index_, 1};
};

TEST_F(Eviction, TakesTheOldestFirstAndSparesWhatWasHit) {
  for (std::uint64_t id = 1; id <= 64; ++id) zero_.apply(packed(id, id));
  for (const std::uint64_t hit : {2U, 5U, 9U}) EXPECT_TRUE(index_.find(key_of(hit)));
  Evictor evictor(0, 64 * 8192);
  const auto gone = evict(evictor, 24);
  ASSERT_EQ(gone.size(), 24U);
  for (const std::uint64_t id : gone) {
    EXPECT_LT(id, 36U) << "of the older half";
    EXPECT_FALSE(id == 2 || id == 5 || id == 9) << id;
  }
  EXPECT_EQ(evict(evictor, 100).size(), 40U) << "in the end everything goes";
  EXPECT_EQ(index_.objects(), 0U);
}

TEST_F(Eviction, OneLookAtManyDoesNotDriveOutWhatIsUsed) {
  for (std::uint64_t id = 1; id <= 40; ++id) zero_.apply(packed(id, id));
  for (std::uint64_t id = 1; id <= 10; ++id) EXPECT_TRUE(index_.find(key_of(id)));
  // As much again comes and is never asked for.
  for (std::uint64_t id = 41; id <= 60; ++id) zero_.apply(packed(id, id));
  Evictor evictor(0, 60 * 8192);
  evict(evictor, 30);
  for (std::uint64_t id = 1; id <= 10; ++id) EXPECT_TRUE(index_.contains(key_of(id))) << id;
}

TEST_F(Eviction, SparesWhatIsUsedHoweverLongItGoesOn) {
  Evictor evictor(0, 40 * 8192);
  for (std::uint64_t id = 1; id <= 5000; ++id) {
    zero_.apply(packed(id, id));
    EXPECT_TRUE(index_.find(key_of(1))) << id;
    if (id > 40) ASSERT_EQ(evict(evictor, 1).size(), 1U);
    if (id > 61) ASSERT_FALSE(index_.contains(key_of(id - 60))) << id << ": the oldest goes first";
    if (HasFailure()) break;
  }
}

TEST_F(Eviction, LeavesPinnedOnesKeptOnesAndOtherDrivesAlone) {
  zero_.apply(packed(1, 1));
  zero_.apply(packed(2, 2));
  one_.apply(packed(3, 3));
  Record pinned = packed(4, 4);
  pinned.is_pinned = true;
  zero_.apply(pinned);
  Evictor evictor(0, 100'000);
  EXPECT_EQ(evict(evictor, 10, 2), std::vector<std::uint64_t>{1});
  EXPECT_GT(index_.pinned_cost(), 0U);
  EXPECT_TRUE(index_.set_pinned(key_of(4), 4, false));
  EXPECT_EQ(index_.pinned_cost(), 0U);
  EXPECT_EQ(evict(evictor, 10, 2), std::vector<std::uint64_t>{4});
  EXPECT_TRUE(index_.contains(key_of(3)));
}

TEST_F(Eviction, OfAGroupTakesOnlyItsOwn) {
  for (std::uint64_t id = 1; id <= 20; ++id) {
    Record record = packed(id, id);
    record.group = id % 2 == 0 ? 7 : 8;
    zero_.apply(record);
  }
  const std::uint64_t others = index_.group_cost(8);
  Evictor evictor(0, 10 * 8192, std::uint16_t{7});
  for (const std::uint64_t id : evict(evictor, 100)) EXPECT_EQ(id % 2, 0U);
  EXPECT_EQ(index_.group_cost(7), 0U);
  EXPECT_EQ(index_.group_cost(8), others);
}

TEST_F(Eviction, AgesSurviveCompactionAndReplay) {
  Record old = packed(1, 1);
  old.is_snapshot = true;
  old.age = 100;
  Record young = packed(2, 2);
  young.is_snapshot = true;
  zero_.apply(young);
  zero_.apply(old);
  Evictor evictor(0, 16 * 8192);
  EXPECT_EQ(evict(evictor, 1), std::vector<std::uint64_t>{1});
}

TEST_F(Eviction, OfNothingFindsNothing) {
  Evictor evictor(0, 1000);
  EXPECT_TRUE(evict(evictor, 1).empty());
}

class Uses : public ::testing::Test {
 protected:
  Uses() {
    index_.set_drives({nullptr, nullptr});
    index_.set_epoch_size(1000);
  }
  // What the drive's journal has yet to be told of, in order; afterwards it is told.
  std::vector<std::uint64_t> take(std::uint32_t drive) {
    std::vector<std::uint64_t> ids;
    for (std::uint32_t shard = 0; shard < Index::kShards; ++shard) {
      index_.take_uses(shard, drive, ids);
    }
    index_.uses_recorded(ids.size());
    std::ranges::sort(ids);
    return ids;
  }
  using Ids = std::vector<std::uint64_t>;
  Index index_;
  Replay zero_{index_, 0};
  Replay one_{index_, 1};
};

TEST_F(Uses, AreForTheJournalOfTheirDriveOnce) {
  for (std::uint64_t id = 1; id <= 9; ++id) (id % 3 == 0 ? one_ : zero_).apply(packed(id, id));
  EXPECT_EQ(take(0), Ids{});
  for (const std::uint64_t key : {1U, 3U, 4U, 3U, 6U}) EXPECT_TRUE(index_.find(key_of(key)));
  EXPECT_EQ(index_.unrecorded_uses(), 4U);
  EXPECT_EQ(take(0), (Ids{1, 4}));
  EXPECT_EQ(index_.unrecorded_uses(), 2U);
  EXPECT_EQ(take(1), (Ids{3, 6}));
  EXPECT_EQ(index_.unrecorded_uses(), 0U);
  EXPECT_EQ(take(0), Ids{});
}

TEST_F(Uses, AreToldAgainOnlyAfterSomeEpochs) {
  zero_.apply(packed(1, 1));
  const std::uint16_t start = index_.now();
  std::uint64_t told = 0;
  for (std::uint64_t step = 0; step < 40'000; ++step) {
    EXPECT_TRUE(index_.find(key_of(1)));
    told += take(0).size();
    index_.advance(10);
  }
  const std::uint64_t epochs = static_cast<std::uint16_t>(index_.now() - start);
  EXPECT_EQ(epochs, 400U);
  EXPECT_EQ(told, epochs / kEpochsPerNote);
}

TEST_F(Uses, ThatAJournalToldAreNotToldBack) {
  zero_.apply(packed(1, 1));
  zero_.apply({.type = RecordType::Uses, .count = 1, .values = {1}});
  Record snapshot = packed(2, 2);
  snapshot.is_snapshot = true;
  snapshot.was_hit = true;
  zero_.apply(snapshot);
  EXPECT_TRUE(index_.find(key_of(1)));
  EXPECT_TRUE(index_.find(key_of(2)));
  EXPECT_EQ(take(0), Ids{});
  index_.advance(kEpochsPerNote * 1000);
  EXPECT_TRUE(index_.find(key_of(2)));
  EXPECT_EQ(take(0), Ids{2});
}

TEST_F(Uses, OfWhatIsGoneOrReplacedAreNotTold) {
  for (std::uint64_t id = 1; id <= 3; ++id) zero_.apply(packed(id, id));
  for (std::uint64_t key = 1; key <= 3; ++key) EXPECT_TRUE(index_.find(key_of(key)));
  EXPECT_TRUE(index_.erase(key_of(1)));
  zero_.apply(packed(9, 2));  // in the place of the older one, and never used
  EXPECT_EQ(take(0), Ids{3});
  EXPECT_EQ(index_.unrecorded_uses(), 0U);
}

TEST_F(Uses, OfWhatIsInNoJournalYetWaitUntilItIs) {
  const auto generation = std::make_shared<Generation>(
      nullptr, 5, key_of(1), 100, Location{.segment = 1, .block = 1, .slot_units = 1}, 0);
  EXPECT_FALSE(index_.insert(generation, nullptr, 0, false));
  EXPECT_TRUE(index_.find(key_of(1)));
  EXPECT_EQ(take(0), Ids{});
  EXPECT_FALSE(index_.add_slice(*generation, 0, 7));
  EXPECT_TRUE(index_.find(key_of(1)));
  EXPECT_EQ(take(0), Ids{5});
}

TEST_F(Uses, BeyondTheLimitAreToldWhenTheyAreUsedLater) {
  constexpr std::uint64_t kMany = Index::kUsesLimit + 100;
  const auto in_one_shard = [](std::uint64_t id) { return Key{.high = 0, .low = id}; };
  for (std::uint64_t id = 1; id <= kMany; ++id) {
    Record record = packed(id, id);
    record.key = in_one_shard(id);
    zero_.apply(record);
  }
  std::set<std::uint64_t> told;
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t id = 1; id <= kMany; ++id) EXPECT_TRUE(index_.find(in_one_shard(id)));
    EXPECT_EQ(index_.unrecorded_uses(), round == 0 ? Index::kUsesLimit : 100U);
    for (const std::uint64_t id : take(0)) told.insert(id);
  }
  EXPECT_EQ(told.size(), kMany);
}

TEST(Index, TwoJournalsWithOneKeyLeaveTheNewerGeneration) {
  Index index;
  index.set_drives({nullptr, nullptr});
  Replay zero(index, 0);
  Replay one(index, 1);
  zero.apply(packed(5, 1));
  one.apply(packed(9, 1));
  one.apply(packed(3, 2));
  zero.apply(packed(4, 2));
  zero.apply(packed(2, 3));
  one.apply(packed(1, 3));
  EXPECT_EQ(index.find(key_of(1))->id, 9U);
  EXPECT_EQ(index.find(key_of(2))->id, 4U);
  EXPECT_EQ(index.find(key_of(3))->id, 2U);
  const auto by_one = one.take_replaced();
  ASSERT_EQ(by_one.size(), 2U);
  EXPECT_EQ(by_one[0].id, 5U);
  EXPECT_EQ(by_one[1].id, 1U);
  EXPECT_EQ(zero.take_replaced().at(0).id, 3U);
}

TEST(Index, APurgedGroupIsNotFoundAndWhatComesLaterIs) {
  Index index;
  index.set_drives({nullptr});
  Replay replay(index, 0);
  Record record = packed(5, 1);
  record.group = 3;
  replay.apply(record);
  record = packed(6, 2);
  record.group = 4;
  replay.apply(record);
  index.purge_below(3, 10);
  EXPECT_FALSE(index.contains(key_of(1)));
  EXPECT_FALSE(index.find(key_of(1)));
  EXPECT_TRUE(index.contains(key_of(2)));
  record = packed(11, 1);
  record.group = 3;
  replay.apply(record);
  EXPECT_TRUE(index.contains(key_of(1)));
}

// The promise of docs/limits.md: at most 64 bytes for an object of one slice.
TEST(Index, AMillionSmallObjectsTakeLittleMemory) {
  const auto resident = [] {
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    long total = 0;
    long pages = 0;
    if (file == nullptr || std::fscanf(file, "%ld %ld", &total, &pages) != 2) pages = 0;
    if (file != nullptr) std::fclose(file);
    return pages * 4096;
  };
#if !defined(__has_feature) || \
    !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
  constexpr std::uint64_t kObjects = 200'000;
  const long before = resident();
  Index index;
  index.set_drives({nullptr});
  {
    Replay replay(index, 0);
    for (std::uint64_t id = 1; id <= kObjects; ++id) replay.apply(packed(id, id));
  }
  EXPECT_LT(static_cast<std::uint64_t>(resident() - before) / kObjects, 64U + 16U)
      << "with what the replay leaves behind";
  EXPECT_EQ(index.objects(), kObjects);
#else
  static_cast<void>(resident);
#endif
}

}  // namespace
}  // namespace larder::store
