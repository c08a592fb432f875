// Purges that hold for drives that are away or do not take a write.
#include <gtest/gtest.h>

#include <set>

#include "base/log.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

std::string name_of(std::uint64_t seed) {
  return "name " + std::to_string(seed);
}

bool put_named(Store& store, std::uint64_t seed, const std::string& name, std::uint64_t length) {
  const auto object = store.create(key_of(seed), base::as_bytes(name), length);
  if (!object) return false;
  for (std::uint32_t i = 0; i < (*object)->slice_count(); ++i) {
    if (!write_pattern(store, **object, i, seed)) return false;
  }
  return true;
}

class StorePurgeElsewhere : public ::testing::Test {
 protected:
  void SetUp() override { base::configure_log({.level = base::LogLevel::Error}); }
  void TearDown() override { base::configure_log({}); }

  // Later than all before.
  std::unique_ptr<Store> open(std::vector<DriveSettings> drives) {
    clock_.advance(std::chrono::seconds(60));
    auto store = Store::open(
        {.drives = std::move(drives), .background = false, .name_of = whole, .clock = &clock_});
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    return store ? std::move(*store) : nullptr;
  }

  // Objects 1 to 8 on both drives; gives those on the first one.
  std::set<std::uint64_t> fill() {
    auto store = open({first_, second_});
    for (std::uint64_t seed = 1; seed <= 8; ++seed)
      EXPECT_TRUE(put_named(*store, seed, name_of(seed), 2 * kMiB));
    std::set<std::uint64_t> found;
    for (const ListItem& item : store->list({}).items) {
      if (item.drive == first_.path) found.insert(std::stoull(item.name.substr(5)));
    }
    EXPECT_GE(found.size(), 3U);
    EXPECT_LE(found.size(), 5U);
    return found;
  }

  static std::set<std::uint64_t> there(Store& store) {
    std::set<std::uint64_t> found;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      if (store.find(key_of(seed))) found.insert(seed);
    }
    return found;
  }

  const TemporaryFolder one_;
  const TemporaryFolder two_;
  const DriveSettings first_{.path = one_.path(), .size = 64 * kMiB};
  const DriveSettings missing_{.path = one_.path() + "/lock/x", .size = 64 * kMiB};
  const DriveSettings second_{.path = two_.path(), .size = 64 * kMiB};
  base::ManualClock clock_{base::from_unix_seconds(1'800'000'000)};
};

TEST_F(StorePurgeElsewhere, OfANameHoldsForADriveThatWasMissing) {
  const std::set<std::uint64_t> on_first = fill();
  const std::uint64_t gone = *on_first.begin();
  const std::uint64_t renewed = *std::next(on_first.begin());
  {
    auto store = open({missing_, second_});
    ASSERT_TRUE(put_named(*store, renewed, name_of(renewed), 5000));
    for (const std::uint64_t seed : {gone, renewed}) {
      const auto purged = store->purge_name(name_of(seed), std::array{key_of(seed)});
      ASSERT_TRUE(purged);
      EXPECT_EQ(purged->objects, seed == renewed ? 1U : 0U);
      EXPECT_TRUE(purged->is_waiting);
    }
    store->maintain();
    EXPECT_EQ(store->statistics().purges, 2U);
  }
  auto store = open({first_, second_});
  const std::set<std::uint64_t> found = there(*store);
  EXPECT_FALSE(found.contains(gone));
  EXPECT_FALSE(found.contains(renewed)) << "what was there before it was away";
  EXPECT_EQ(found.size(), 6U);
  store->maintain();
  EXPECT_EQ(store->statistics().purges, 0U);
  EXPECT_FALSE(store->purge_name(name_of(8), std::array{key_of(8)})->is_waiting);
}

TEST_F(StorePurgeElsewhere, KeepsTheRestOfADriveThatIsMovedAwayMeanwhile) {
  const std::set<std::uint64_t> on_first = fill();
  const std::uint64_t purged = *on_first.begin();
  const std::string away = one_.path() + ".away";
  {
    auto store = open({first_, second_});
    fs::rename(one_.path(), away);
    EXPECT_FALSE(store->find(key_of(*on_first.rbegin())));  // who asks for it does not remove it
    ASSERT_TRUE(store->purge_name(name_of(purged), std::array{key_of(purged)}));
    store->maintain();
  }
  fs::remove_all(one_.path());
  fs::rename(away, one_.path());
  auto store = open({first_, second_});
  const std::set<std::uint64_t> found = there(*store);
  EXPECT_FALSE(found.contains(purged));
  EXPECT_EQ(found.size(), 7U);
}

TEST_F(StorePurgeElsewhere, OfANameTakesItsPartsAndNoOther) {
  {
    auto store = open({second_});
    ASSERT_TRUE(put_named(*store, 1, "a", 3000));
    ASSERT_TRUE(put_named(*store, 2, "a\npart", 3000));
    ASSERT_TRUE(put_named(*store, 3, "ab", 3000));
  }
  ASSERT_TRUE(open({first_, second_}));
  auto store = open({missing_, second_});
  ASSERT_TRUE(store->purge_name("a", {}));
  EXPECT_EQ(there(*store), std::set<std::uint64_t>{3});
}

TEST_F(StorePurgeElsewhere, LeavesNothingPinnedThatNobodyFinds) {
  auto store = open({second_});
  ASSERT_TRUE(store->pin({.text = "a", .is_prefix = false}));
  ASSERT_TRUE(put_named(*store, 2, "a\npart", 3000));
  EXPECT_GT(store->statistics().pinned, 0U);
  const auto purged = store->purge_name("a", std::array{key_of(1)});
  ASSERT_TRUE(purged);
  EXPECT_FALSE(purged->is_waiting);
  store->maintain();
  EXPECT_EQ(store->statistics().objects, 0U);
  EXPECT_EQ(store->statistics().pinned, 0U);
}

TEST_F(StorePurgeElsewhere, OutdatesADriveThatWasOutOfTheSettings) {
  const std::set<std::uint64_t> on_first = fill();
  {
    auto store = open({second_});
    const std::uint64_t gone = *on_first.begin();
    const auto purged = store->purge_name(name_of(gone), std::array{key_of(gone)});
    ASSERT_TRUE(purged);
    EXPECT_FALSE(purged->is_waiting);
    EXPECT_EQ(store->statistics().purges, 0U);
  }
  // The one that was there is not outdated, also when it is alone again.
  EXPECT_EQ(there(*open({second_})).size(), 8 - on_first.size());
  EXPECT_EQ(there(*open({first_, second_})).size(), 8 - on_first.size());
}

TEST_F(StorePurgeElsewhere, ByPrefixOutdatesItToo) {
  const std::set<std::uint64_t> on_first = fill();
  {
    auto store = open({second_});
    ASSERT_TRUE(store->purge_prefix(name_of(*on_first.begin())));
    store->maintain();
    EXPECT_EQ(store->statistics().purges, 0U);
  }
  EXPECT_EQ(there(*open({second_})).size(), 8 - on_first.size());
  EXPECT_EQ(there(*open({first_, second_})).size(), 8 - on_first.size());
}

TEST_F(StorePurgeElsewhere, KeepsADriveThatWasOutOfTheSettingsWhileNothingWasPurged) {
  const std::set<std::uint64_t> on_first = fill();
  {
    auto store = open({second_});
    ASSERT_TRUE(store->pin({.text = "x", .is_prefix = false}));
    store->maintain();
  }
  EXPECT_EQ(there(*open({first_, second_})).size(), 8U);
}

TEST_F(StorePurgeElsewhere, HoldsWhenTheDriveDoesNotTakeTheRecord) {
  const TemporaryFolder killed;
  auto store = open({second_});
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    ASSERT_TRUE(put_named(*store, seed, name_of(seed), 3000));
  {
    // The orders are short, the journal is not.
    const LongestFile limit(2000);
    ASSERT_GT(fs::file_size(two_.path() + "/journal"), 2000U);
    const auto purged = store->purge_name(name_of(1), std::array{key_of(1)});
    ASSERT_TRUE(purged) << purged.error().message;
    EXPECT_EQ(purged->objects, 1U);
    EXPECT_TRUE(purged->is_waiting);
  }
  // As after a kill -9.
  fs::copy(two_.path(), killed.path() + "/drive", fs::copy_options::recursive);
  {
    auto after = open({{.path = killed.path() + "/drive", .size = 64 * kMiB}});
    EXPECT_FALSE(after->find(key_of(1)));
    EXPECT_TRUE(after->find(key_of(2)));
  }
  clock_.advance(std::chrono::seconds(60));
  store->maintain();  // the journal is written anew
  store->maintain();
  EXPECT_EQ(store->statistics().purges, 0U);
  store.reset();
  fs::remove_all(killed.path() + "/drive");
  store = open({second_});
  EXPECT_EQ(there(*store).size(), 7U);
  EXPECT_FALSE(store->find(key_of(1)));
}

TEST_F(StorePurgeElsewhere, ThatCanBeWrittenNowhereIsAnError) {
  auto store = open({second_});
  for (std::uint64_t seed = 1; seed <= 8; ++seed)
    ASSERT_TRUE(put_named(*store, seed, name_of(seed), 3000));
  {
    const LongestFile limit(0);
    const auto purged = store->purge_name(name_of(1), std::array{key_of(1)});
    ASSERT_FALSE(purged);
    EXPECT_NE(purged.error().message.find("after a restart"), std::string::npos);
  }
  EXPECT_FALSE(store->find(key_of(1)));
}

}  // namespace
}  // namespace larder::store
