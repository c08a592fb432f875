// Lists, purges, pins, quotas, the scrub, and drives that are not there.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/unique_fd.h"
#include "store/layout.h"
#include "store/orders.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

StoreSettings settings_for(const std::string& path, std::uint64_t size = 64 * kMiB) {
  return {.drives = {{.path = path, .size = size}}, .background = false, .name_of = whole};
}

std::unique_ptr<Store> open_named(const std::string& path, std::uint64_t size = 64 * kMiB) {
  auto store = Store::open(settings_for(path, size));
  EXPECT_TRUE(store) << (store ? "" : store.error().message);
  return store ? std::move(*store) : nullptr;
}

// An object whose metadata is its name.
std::shared_ptr<Object> put_named(Store& store, std::uint64_t seed, const std::string& name,
                                  const std::string& group, std::uint64_t length = 3000) {
  const auto object = store.create(key_of(seed), base::as_bytes(name), length, group);
  if (!object) return nullptr;
  for (std::uint32_t i = 0; i < (*object)->slice_count(); ++i) {
    if (!write_pattern(store, **object, i, seed)) return nullptr;
  }
  return *object;
}

std::set<std::string> names(Store& store, ListQuery query = {}) {
  std::set<std::string> all;
  do {
    const ListPage page = store.list(query);
    for (const ListItem& item : page.items) EXPECT_TRUE(all.insert(item.name).second) << item.name;
    query.cursor = page.next;
  } while (query.cursor != 0);
  return all;
}

TEST(Orders, ReadBackWhatTheyWroteAndNothingElse) {
  const OrderBook book{.sequence = 9,
                       .groups = {{"one", 0}, {"two", 77}},
                       .purges = {{"http\nhost\n/a", 5}},
                       .pins = {{"http\nhost\n/b", true}, {"x", false}},
                       .missed_below = 7};
  const std::string file = encode_orders(book);
  EXPECT_EQ(parse_orders(file), book);
  for (std::size_t at = 0; at < file.size(); ++at) {
    EXPECT_FALSE(parse_orders(std::string_view(file).substr(0, at)));
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    EXPECT_FALSE(parse_orders(damaged)) << at;
  }
}

TEST(Orders, AnOlderPurgeThatComesLateLowersNoMark) {
  Orders orders({}, [](std::string_view) { return Orders::Saved::Everywhere; });
  const std::uint16_t group = orders.group("g");
  for (const std::uint64_t below : {20U, 10U, 30U, 15U}) {
    ASSERT_TRUE(orders.purge_prefix("a/", below));
    ASSERT_TRUE(orders.purge_group(group, below));
  }
  EXPECT_TRUE(orders.is_purged("a/1", 29));
  EXPECT_FALSE(orders.is_purged("a/1", 30));
  EXPECT_EQ(orders.book().groups[group - 1U].purged_below, 30U);
  EXPECT_EQ(orders.book().purges.size(), 1U);
}

TEST(StoreList, GivesEverythingOnceInPages) {
  const TemporaryFolder folder;
  auto store = open_named(folder.path());
  std::set<std::string> expected;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const std::string name = (seed % 3 == 0 ? "a/" : "b/") + std::to_string(seed);
    ASSERT_TRUE(put_named(*store, seed, name, seed % 2 == 0 ? "even" : "odd"));
    expected.insert(name);
  }
  EXPECT_EQ(names(*store, {.limit = 7}), expected);
  EXPECT_EQ(names(*store, {.limit = 500}), expected);
  EXPECT_EQ(names(*store, {.limit = 9, .prefix = "a/"}).size(), 50U);
  EXPECT_EQ(names(*store, {.limit = 9, .group = "odd"}).size(), 75U);
  EXPECT_TRUE(names(*store, {.group = "unknown"}).empty());
  const ListItem item = store->list({.limit = 1}).items.at(0);
  EXPECT_EQ(item.length, 3000U);
  EXPECT_EQ(item.stored, 3000U);
  EXPECT_EQ(item.drive, folder.path());
  EXPECT_TRUE(item.group == "odd" || item.group == "even");
}

TEST(StorePurge, OfAPrefixHidesWhatIsThereAndSparesWhatComes) {
  const TemporaryFolder folder;
  {
    auto store = open_named(folder.path());
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      ASSERT_TRUE(
          put_named(*store, seed, (seed % 2 == 0 ? "a/" : "b/") + std::to_string(seed), "g"));
    }
    const auto held = store->find(key_of(2));
    ASSERT_TRUE(held);
    ASSERT_TRUE(store->purge_prefix("a/"));
    EXPECT_FALSE(store->find_open(key_of(2)));
    EXPECT_FALSE(store->find(key_of(2)));
    EXPECT_FALSE(store->find(key_of(4)));
    EXPECT_TRUE(store->find(key_of(3)));
    EXPECT_TRUE(holds_pattern(*store, *held, 2)) << "who has it keeps it";
    EXPECT_EQ(names(*store).size(), 10U);
    EXPECT_EQ(store->statistics().purges, 1U);
    ASSERT_TRUE(put_named(*store, 6, "a/6", "g"));
    EXPECT_TRUE(store->find(key_of(6)));
  }
  // The mark is there after a restart, and is worked off.
  auto store = open_named(folder.path());
  EXPECT_FALSE(store->find(key_of(4)));
  EXPECT_TRUE(store->find(key_of(6)));
  store->maintain();
  EXPECT_EQ(store->statistics().objects, 11U);
  EXPECT_EQ(store->statistics().purges, 0U);
  EXPECT_FALSE(store->find(key_of(4)));
}

TEST(StorePurge, BeforeItsWorkIsDoneHoldsAfterARestart) {
  const TemporaryFolder folder;
  const TemporaryFolder copy;
  {
    auto store = open_named(folder.path());
    ASSERT_TRUE(put_named(*store, 1, "a/1", "g"));
    ASSERT_TRUE(put_named(*store, 2, "b/2", "h", kMiB + 5));
    ASSERT_TRUE(store->purge_prefix("a/"));
    ASSERT_TRUE(store->purge_group("h"));
    // As a kill leaves it.
    fs::copy(folder.path(), copy.path() + "/drive", fs::copy_options::recursive);
  }
  auto store = Store::open({.drives = {{.path = copy.path() + "/drive", .size = 64 * kMiB}},
                            .background = true,
                            .name_of = whole});
  ASSERT_TRUE(store);
  EXPECT_FALSE((*store)->find(key_of(1)));
  EXPECT_FALSE((*store)->find(key_of(2)));
}

TEST(StorePurge, OfAGroupTouchesNoOther) {
  const TemporaryFolder folder;
  auto store = open_named(folder.path());
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ASSERT_TRUE(put_named(*store, seed, "n" + std::to_string(seed), seed % 2 == 0 ? "e" : "o"));
  }
  EXPECT_EQ(store->purge_group("none").error().code, base::ErrorCode::NotFound);
  ASSERT_TRUE(store->purge_group("e"));
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(store->find(key_of(seed)) != nullptr, seed % 2 != 0) << seed;
    EXPECT_EQ(store->contains(key_of(seed)), seed % 2 != 0) << seed;
  }
  store->maintain();
  EXPECT_EQ(store->statistics().objects, 10U);
}

TEST(StorePin, KeepsOldAndNewObjectsWhateverComes) {
  const TemporaryFolder folder;
  constexpr std::uint64_t kSize = 32 * kMiB;
  {
    auto store = open_named(folder.path(), kSize);
    ASSERT_TRUE(put_named(*store, 1, "keep/1", "g", 2 * kMiB));
    ASSERT_TRUE(put_named(*store, 2, "other", "g", 2 * kMiB));
    ASSERT_TRUE(store->pin({.text = "keep/", .is_prefix = true}));
    ASSERT_TRUE(store->pin({.text = "one"}, {key_of(3)}));
    EXPECT_EQ(store->pin({.text = "one"}).error().code, base::ErrorCode::AlreadyExists);
    store->maintain();
    ASSERT_TRUE(put_named(*store, 3, "one", "g"));
    ASSERT_TRUE(put_named(*store, 4, "keep/4", "g", 2 * kMiB));
  }
  auto store = open_named(folder.path(), kSize);
  EXPECT_EQ(store->pins().size(), 2U);
  for (std::uint64_t seed = 10; seed < 60; ++seed) {
    ASSERT_TRUE(put_named(*store, seed, "n" + std::to_string(seed), "g", 2 * kMiB)) << seed;
  }
  for (const std::uint64_t pinned : {1U, 3U, 4U}) EXPECT_TRUE(store->contains(key_of(pinned)));
  EXPECT_FALSE(store->contains(key_of(2)));
  EXPECT_GT(store->statistics().pinned, 4 * kMiB);
  ASSERT_TRUE(store->unpin({.text = "keep/", .is_prefix = true}));
  EXPECT_EQ(store->unpin({.text = "keep/"}).error().code, base::ErrorCode::NotFound);
  store->maintain();
  EXPECT_LT(store->statistics().pinned, kMiB);
}

TEST(StorePin, ReachesWhatIsNotWrittenYet) {
  const TemporaryFolder folder;
  const std::unique_ptr<Store> store = open_named(folder.path());
  const auto object = store->create(key_of(1), base::as_bytes("a/1"), 3000, "one");
  ASSERT_TRUE(object);
  EXPECT_EQ(names(*store), std::set<std::string>{"a/1"});
  ASSERT_TRUE(store->pin({.text = "a/", .is_prefix = true}));
  store->maintain();
  ASSERT_TRUE(write_pattern(*store, **object, 0, 1));
  EXPECT_TRUE(store->list({}).items.at(0).is_pinned);
  EXPECT_GT(store->statistics().pinned, 0U);
}

TEST(StorePin, OfTheWholeDriveEndsInAnError) {
  const TemporaryFolder folder;
  auto store = open_named(folder.path(), 16 * kMiB);
  ASSERT_TRUE(store->pin({.text = "n", .is_prefix = true}));
  std::uint64_t seed = 1;
  while (seed < 30 && put_named(*store, seed, "n" + std::to_string(seed), "g", 2 * kMiB)) ++seed;
  EXPECT_LT(seed, 10U);
  EXPECT_GT(store->drive_statistics().at(0).not_evictable, 0U);
  for (std::uint64_t there = 1; there < seed; ++there) EXPECT_TRUE(store->contains(key_of(there)));
}

TEST(StoreQuota, IsKeptByEvictingOfTheSameGroup) {
  const TemporaryFolder folder;
  auto store = open_named(folder.path(), 64 * kMiB);
  constexpr std::uint64_t kQuota = 10 * kMiB;
  store->set_quotas({{"small", kQuota}});
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    ASSERT_TRUE(put_named(*store, seed, "o" + std::to_string(seed), "other", 2 * kMiB));
  for (std::uint64_t seed = 10; seed < 40; ++seed) {
    ASSERT_TRUE(put_named(*store, seed, "s" + std::to_string(seed), "small", 2 * kMiB)) << seed;
    for (const GroupStatistics& group : store->statistics().groups) {
      if (group.name == "small") EXPECT_LE(group.used, kQuota);
    }
  }
  for (std::uint64_t seed = 1; seed <= 5; ++seed) EXPECT_TRUE(store->contains(key_of(seed)));
  EXPECT_TRUE(store->contains(key_of(39)));
  EXPECT_FALSE(store->contains(key_of(10)));
  // An object that alone is above it is stored as far as it goes.
  const auto large = store->create(key_of(99), base::as_bytes("l"), 30 * kMiB, "small");
  ASSERT_TRUE(large);
  std::uint32_t slices = 0;
  while (slices < 30 && write_pattern(*store, **large, slices, 99)) ++slices;
  EXPECT_GT(slices, 5U);
  EXPECT_LT(slices, 11U);
}

TEST(StoreQuota, ALowerOneIsReachedByTheUpkeep) {
  const TemporaryFolder folder;
  auto store = open_named(folder.path(), 64 * kMiB);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ASSERT_TRUE(put_named(*store, seed, "s" + std::to_string(seed), "small", 2 * kMiB));
    ASSERT_TRUE(put_named(*store, 100 + seed, "o" + std::to_string(seed), "other", 1 * kMiB));
  }
  constexpr std::uint64_t kQuota = 5 * kMiB;
  store->set_quotas({{"small", kQuota}});
  store->maintain();
  for (const GroupStatistics& group : store->statistics().groups) {
    if (group.name == "small") {
      EXPECT_LE(group.used, kQuota);
      EXPECT_GT(group.used, kQuota / 2) << "no more goes than must";
    } else {
      EXPECT_GT(group.used, 10 * kMiB);
    }
  }
}

TEST(StoreQuota, WhatPinsKeepAboveItGoesWhenTheyEnd) {
  const TemporaryFolder folder;
  auto store = open_named(folder.path(), 64 * kMiB);
  ASSERT_TRUE(store->pin({.text = "s", .is_prefix = true}));
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    ASSERT_TRUE(put_named(*store, seed, "s" + std::to_string(seed), "small", 2 * kMiB));
  }
  store->set_quotas({{"small", 5 * kMiB}});
  for (int pass = 0; pass < 3; ++pass) store->maintain();
  EXPECT_EQ(store->statistics().objects, 10U);
  ASSERT_TRUE(store->unpin({.text = "s", .is_prefix = true}));
  store->maintain();
  EXPECT_LE(store->statistics().objects, 2U);
  EXPECT_GT(store->statistics().objects, 0U);
}

TEST(StoreScrub, FindsAFlippedBitThatNobodyAskedFor) {
  const TemporaryFolder folder;
  base::configure_log({.level = base::LogLevel::Error});
  std::string path;
  std::uint64_t offset = 0;
  {
    auto store = open_named(folder.path());
    const auto object = put_named(*store, 1, "large", "g", 2 * kMiB);
    ASSERT_TRUE(object);
    ASSERT_TRUE(put_named(*store, 2, "small", "g"));
    offset = object->file_offset_of(kMiB + 9);
    path = fs::read_symlink("/proc/self/fd/" + std::to_string(object->fd())).string();
  }
  const base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "!", 1, static_cast<off_t>(offset)), 1);
  StoreSettings settings = settings_for(folder.path());
  settings.background = true;
  auto store = Store::open(std::move(settings));
  ASSERT_TRUE(store);
  EXPECT_TRUE((*store)->start_scrub());
  ScrubStatistics scrub;
  do {
    scrub = (*store)->statistics().scrub;
  } while (scrub.is_running);
  EXPECT_EQ(scrub.passes, 1U);
  EXPECT_EQ(scrub.objects, 2U);
  EXPECT_EQ(scrub.bytes, 2 * kMiB + 3000);
  EXPECT_EQ(scrub.lost, 1U);
  const auto object = (*store)->find(key_of(1));
  ASSERT_TRUE(object);
  EXPECT_TRUE(object->has_slice(0));
  EXPECT_FALSE(object->has_slice(1)) << "that slice alone is fetched anew";
  EXPECT_TRUE((*store)->contains(key_of(2)));
  base::configure_log({});
}

TEST(StoreDrives, ADriveThatDoesNotWorkIsLeftOut) {
  const TemporaryFolder good;
  const TemporaryFolder bad;
  base::configure_log({.level = base::LogLevel::Error});
  // A file where the folder should be.
  base::UniqueFd(::open((bad.path() + "/file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const std::vector<DriveSettings> drives = {{.path = bad.path() + "/file/x", .size = 32 * kMiB},
                                             {.path = good.path(), .size = 32 * kMiB}};
  {
    auto store = Store::open({.drives = drives, .background = false});
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_TRUE(put(**store, 1, 5000));
    const Statistics statistics = (*store)->statistics();
    ASSERT_EQ(statistics.drives.size(), 2U);
    EXPECT_EQ(statistics.drives[0].state, DriveState::Good);
    EXPECT_EQ(statistics.drives[1].state, DriveState::Missing);
    EXPECT_EQ(statistics.drives[1].path, drives[0].path);
  }
  auto none = Store::open({.drives = {drives[0]}, .background = false});
  ASSERT_TRUE(none) << "without any drive it passes through";
  EXPECT_FALSE((*none)->find(key_of(1)));
  EXPECT_EQ((*none)->create(key_of(1), {}, 10).error().code, base::ErrorCode::Unavailable);
  base::configure_log({});
}

TEST(StoreDrives, ADriveMayBeALinkToAFolder) {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() + "/large");
  fs::create_symlink("large", folder.path() + "/drive");
  for (const bool is_new : {true, false}) {
    auto store = Store::open(
        {.drives = {{.path = folder.path() + "/drive", .size = 32 * kMiB}}, .background = false});
    ASSERT_TRUE(store) << store.error().message;
    if (is_new) {
      ASSERT_TRUE(put(**store, 1, 5000));
    }
    EXPECT_TRUE((*store)->find(key_of(1)));
  }
}

TEST(StoreDrives, ADriveWhoseJournalCannotBeReadIsLeftOut) {
  const TemporaryFolder one;
  const TemporaryFolder two;
  base::configure_log({.level = base::LogLevel::Error});
  const std::vector<DriveSettings> drives = {{.path = one.path(), .size = 32 * kMiB},
                                             {.path = two.path(), .size = 32 * kMiB}};
  {
    auto store = Store::open({.drives = drives, .background = false});
    for (std::uint64_t seed = 1; seed <= 8; ++seed) ASSERT_TRUE(put(**store, seed, 2 * kMiB));
  }
  fs::remove(one.path() + "/journal");
  fs::create_directory(one.path() + "/journal");
  auto store = Store::open({.drives = drives, .background = false});
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->statistics().drives.size(), 2U);
  std::uint64_t there = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const auto object = (*store)->find(key_of(seed));
    if (!object) continue;
    ++there;
    EXPECT_TRUE(holds_pattern(**store, *object, seed));
  }
  EXPECT_GT(there, 2U);
  EXPECT_LT(there, 8U);
  base::configure_log({});
}

TEST(StoreDrives, WhatADriveHeldThatWasAwayIsOlderThanWhatCameMeanwhile) {
  const TemporaryFolder one;
  const TemporaryFolder two;
  base::configure_log({.level = base::LogLevel::Error});
  base::ManualClock clock(base::from_unix_seconds(1'800'000'000));
  const auto open = [&](std::vector<DriveSettings> drives) {
    return Store::open(
        {.drives = std::move(drives), .background = false, .name_of = whole, .clock = &clock});
  };
  const DriveSettings first{.path = one.path(), .size = 32 * kMiB};
  const DriveSettings away{.path = one.path() + "/lock/x", .size = 32 * kMiB};
  const DriveSettings second{.path = two.path(), .size = 32 * kMiB};
  {
    auto store = open({first, second});
    for (std::uint64_t seed = 1; seed <= 6; ++seed)
      ASSERT_TRUE(put_named(**store, seed, "old/" + std::to_string(seed), "g", 2 * kMiB));
  }
  clock.advance(std::chrono::seconds(60));
  {
    auto store = open({away, second});
    ASSERT_TRUE((*store)->purge_prefix("old/1"));
    ASSERT_TRUE((*store)->purge_prefix("old/2"));
    for (std::uint64_t seed = 3; seed <= 4; ++seed)
      ASSERT_TRUE(put_named(**store, seed, "new/" + std::to_string(seed), "g", 5000));
    (*store)->maintain();
  }
  clock.advance(std::chrono::seconds(60));
  auto store = open({first, second});
  for (std::uint64_t seed = 1; seed <= 2; ++seed) EXPECT_FALSE((*store)->find(key_of(seed)));
  for (std::uint64_t seed = 3; seed <= 4; ++seed) {
    const auto object = (*store)->find(key_of(seed));
    ASSERT_TRUE(object);
    EXPECT_EQ(*object->metadata(), "new/" + std::to_string(seed));
  }
  base::configure_log({});
}

// Nothing can be opened while it lives.
class LackOfDescriptors {
 public:
  LackOfDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &old_), 0);
    rlimit none = old_;
    none.rlim_cur = 3;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~LackOfDescriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &old_), 0); }
  LackOfDescriptors(const LackOfDescriptors&) = delete;
  LackOfDescriptors& operator=(const LackOfDescriptors&) = delete;

 private:
  rlimit old_{};
};

// What is being made when a purge comes is older than the purge, whenever it is found.
TEST(StorePurge, HidesWhatIsBeingMadeAlsoWhenItsWorkIsDoneMeanwhile) {
  const TemporaryFolder folder;
  auto store = open_named(folder.path());
  ASSERT_TRUE(put_named(*store, 1, "b/1", "other"));
  ASSERT_TRUE(store->create(key_of(2), base::as_bytes("a/2"), 2 * kMiB, "g",
                            [&](const std::shared_ptr<Object>&) {
                              std::thread([&] {
                                EXPECT_TRUE(store->purge_prefix("a/"));
                                store->maintain();
                              }).join();
                            }));
  EXPECT_FALSE(store->find_open(key_of(2)));
  EXPECT_FALSE(store->find(key_of(2)));
  ASSERT_TRUE(
      store->create(key_of(3), base::as_bytes("b/3"), 3000, "g",
                    [&](const std::shared_ptr<Object>&) { EXPECT_TRUE(store->purge_group("g")); }));
  EXPECT_FALSE(store->find_open(key_of(3)));
  EXPECT_FALSE(store->find(key_of(3)));
  EXPECT_TRUE(store->find(key_of(1)));
  EXPECT_TRUE(put_named(*store, 2, "a/2", "g"));
  EXPECT_TRUE(store->find(key_of(2)));
}

// The data file of a generation of more than one slice.
fs::path file_of(const std::string& folder, std::uint64_t generation) {
  for (const auto& file : fs::recursive_directory_iterator(folder + "/objects")) {
    if (file.is_regular_file() && parse_file_number(file.path().filename().string()) == generation)
      return file.path();
  }
  return {};
}

TEST(StorePurge, StaysMarkedUntilEverythingWasLookedAt) {
  const TemporaryFolder folder;
  base::ManualClock clock(base::from_unix_seconds(1795300000));
  base::configure_log({.level = base::LogLevel::Error});
  std::array<std::uint64_t, 5> generations{};
  {
    auto store = open_named(folder.path());
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      const auto object =
          put_named(*store, seed, (seed < 3 ? "a/" : "b/") + std::to_string(seed), "g", 2 * kMiB);
      ASSERT_TRUE(object);
      generations[seed] = object->id();
    }
  }
  StoreSettings settings = settings_for(folder.path());
  settings.clock = &clock;
  auto store = Store::open(settings);
  ASSERT_TRUE(store);
  // It cannot be opened, and is there all the same.
  const fs::path unreadable = file_of(folder.path(), generations[2]);
  const fs::path aside = folder.path() + "/aside";
  fs::rename(unreadable, aside);
  fs::create_symlink(aside, unreadable);
  // Nobody can ever read this one: it is no reason to wait.
  fs::remove(file_of(folder.path(), generations[4]));

  ASSERT_TRUE((*store)->purge_prefix("a/"));
  (*store)->maintain();
  EXPECT_EQ((*store)->statistics().purges, 1U);
  EXPECT_EQ((*store)->statistics().objects, 2U);
  fs::remove(unreadable);
  fs::rename(aside, unreadable);
  EXPECT_FALSE((*store)->contains(key_of(1)));
  EXPECT_FALSE((*store)->find(key_of(2)));
  EXPECT_TRUE((*store)->find(key_of(3)));
  EXPECT_FALSE((*store)->find(key_of(4)));

  clock.advance(std::chrono::minutes(2));
  (*store)->maintain();
  EXPECT_EQ((*store)->statistics().purges, 0U);
  base::configure_log({});
}

TEST(StoreDrives, ALackOfDescriptorsIsNotTheDrivesFault) {
  const TemporaryFolder folder;
  base::configure_log({.level = base::LogLevel::Error});
  {
    auto store = open_named(folder.path());
    ASSERT_TRUE(put_named(*store, 1, "one", "g", 2 * kMiB));
  }
  auto store = open_named(folder.path());
  {
    const LackOfDescriptors lack;
    EXPECT_FALSE(store->find(key_of(1)));
    EXPECT_FALSE(put_named(*store, 2, "two", "g", 2 * kMiB));
  }
  EXPECT_EQ(store->statistics().drives[0].state, DriveState::Good);
  EXPECT_EQ(store->statistics().write_errors, 0U);
  EXPECT_TRUE(store->find(key_of(1))) << "it was not given up";
  EXPECT_TRUE(put_named(*store, 2, "two", "g", 2 * kMiB));
  base::configure_log({});
}

}  // namespace
}  // namespace larder::store
