// Sizes, eviction, full drives and many threads at once.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "base/log.h"
#include "store/room.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

std::uint64_t length_for(std::mt19937& random) {
  switch (random() % 4) {
    case 0:
      return 1 + random() % 6000;
    case 1:
      return 1 + random() % (kMiB);
    default:
      return kMiB + 1 + random() % (2 * kMiB);
  }
}

TEST(StoreSpace, EvictionKeepsTheFolderBelowItsSizeAndSparesWhatIsHit) {
  const TemporaryFolder folder;
  constexpr std::uint64_t kSize = 40 * kMiB;
  auto store = open_store(folder.path(), kSize);
  ASSERT_TRUE(put(*store, 1, 5000));
  ASSERT_TRUE(put(*store, 2, kMiB + 5));
  std::mt19937 random(7);
  for (std::uint64_t seed = 3; seed < 250; ++seed) {
    EXPECT_TRUE(store->find(key_of(1))) << seed;
    EXPECT_TRUE(store->find(key_of(2))) << seed;
    ASSERT_TRUE(put(*store, seed, length_for(random))) << seed;
    if (seed % 3 == 0) store->maintain();
    ASSERT_LE(disk_usage(folder.path()), kSize) << seed;
    ASSERT_LE(store->statistics().used, kSize) << seed;
  }
  const Statistics after = store->statistics();
  EXPECT_GT(after.evicted_objects, 100U);
  EXPECT_GT(after.bytes, kSize / 2) << "it evicts no more than it must";
  EXPECT_FALSE(store->contains(key_of(3)));
  EXPECT_TRUE(store->contains(key_of(249)));
  store.reset();
  store = open_store(folder.path(), kSize);
  EXPECT_EQ(store->statistics().objects, after.objects);
  EXPECT_EQ(store->statistics().bytes, after.bytes);
  for (const std::uint64_t seed : {1U, 2U, 249U}) {
    const auto object = store->find(key_of(seed));
    ASSERT_TRUE(object);
    EXPECT_TRUE(holds_pattern(*store, *object, seed));
  }
}

TEST(StoreSpace, AccountAfterARestartIsTheSame) {
  const TemporaryFolder folder;
  std::uint64_t used = 0;
  {
    auto store = open_store(folder.path());
    std::mt19937 random(3);
    for (std::uint64_t seed = 1; seed < 20; ++seed)
      ASSERT_TRUE(put(*store, seed, length_for(random)));
    for (std::uint64_t seed = 1; seed < 20; seed += 3) store->remove(key_of(seed));
    store->maintain();
    used = store->statistics().used;
    EXPECT_GE(used, disk_usage(folder.path()));
  }
  EXPECT_EQ(open_store(folder.path())->statistics().used, used);
}

TEST(StoreSpace, ASmallerSizeIsReachedBeforeTheStoreOpens) {
  const TemporaryFolder folder;
  {
    auto store = open_store(folder.path(), 64 * kMiB);
    for (std::uint64_t seed = 1; seed < 25; ++seed) ASSERT_TRUE(put(*store, seed, 2 * kMiB));
  }
  auto store = open_store(folder.path(), 20 * kMiB);
  EXPECT_LE(disk_usage(folder.path()), 20 * kMiB);
  EXPECT_TRUE(store->contains(key_of(24)));
}

TEST(StoreSpace, WhatReadersHoldCountsUntilTheyLetGo) {
  const TemporaryFolder folder;
  constexpr std::uint64_t kSize = 24 * kMiB;
  auto store = open_store(folder.path(), kSize);
  std::vector<std::shared_ptr<Object>> held;
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    auto object = put(*store, seed, 2 * kMiB);
    if (!object) break;
    held.push_back(std::move(object));
  }
  EXPECT_LT(held.size(), 12U) << "full of what is held: the caller passes through";
  EXPECT_LE(disk_usage(folder.path()), kSize);
  for (std::size_t i = 0; i < held.size(); ++i) EXPECT_TRUE(holds_pattern(*store, *held[i], i + 1));
  const auto refused = store->create(key_of(99), {}, 3000);
  if (!refused) {
    EXPECT_EQ(refused.error().code, base::ErrorCode::ResourceExhausted);
  }
  held.clear();
  store->maintain();
  EXPECT_TRUE(put(*store, 100, 2 * kMiB));
}

// As the loops of a node do: whoever keeps objects to find them faster drops the removed ones when
// it is asked to, on its own thread.
TEST(StoreSpace, EvictionWaitsForWhatItFreedInsteadOfFreeingMore) {
  const TemporaryFolder folder;
  constexpr std::uint64_t kSize = 64 * kMiB;
  auto store =
      Store::open({.drives = {{.path = folder.path(), .size = kSize}}, .background = true}).value();
  std::mutex mutex;
  std::condition_variable_any asked;
  bool is_asked = false;
  std::vector<std::shared_ptr<Object>> kept;
  std::jthread keeper([&](const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    while (asked.wait(lock, stop, [&] { return is_asked; })) {
      is_asked = false;
      std::erase_if(kept, [](const auto& object) { return object->is_removed(); });
    }
  });
  store->on_space_awaited([&] {
    const std::lock_guard lock(mutex);
    is_asked = true;
    asked.notify_all();
  });
  std::vector<std::uint64_t> used;
  for (std::uint64_t seed = 1; seed < 150; ++seed) {
    auto object = put(*store, seed, 2 * kMiB);
    if (!object) continue;  // the keeper got no turn in time
    {
      const std::lock_guard lock(mutex);
      kept.push_back(std::move(object));
    }
    EXPECT_LE(disk_usage(folder.path()), kSize);
    const Statistics now = store->statistics();
    if (now.evicted_objects > 0) used.push_back(now.used);
  }
  ASSERT_GT(used.size(), 50U);
  std::ranges::nth_element(used, used.begin() + 25);
  EXPECT_GE(used[25], kSize / 5 * 4) << "all but a few times";
  EXPECT_GT(store->statistics().evicted_objects, 100U);
  store->on_space_awaited(nullptr);
}

TEST(StoreSpace, AnObjectThatDoesNotFitEndsInAnErrorNotInEvictingItself) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path(), 16 * kMiB);
  ASSERT_TRUE(put(*store, 1, 1000));
  const auto object = store->create(key_of(2), {}, 16 * kMiB);
  ASSERT_TRUE(object);
  base::Status status;
  std::uint32_t stored = 0;
  while (stored < 16 && (status = write_pattern(*store, **object, stored, 2))) ++stored;
  EXPECT_GT(stored, 5U);
  EXPECT_LT(stored, 16U);
  EXPECT_EQ(status.error().code, base::ErrorCode::ResourceExhausted);
  EXPECT_TRUE(holds_pattern(*store, **object, 2));
  EXPECT_LE(disk_usage(folder.path()), 16 * kMiB);
}

TEST(StoreSpace, TheJournalIsCompactedAndNothingIsLost) {
  const TemporaryFolder folder;
  {
    auto store = open_store(folder.path());
    ASSERT_TRUE(put(*store, 1, kMiB + 7));
    for (std::uint64_t i = 0; i < 6000; ++i) {
      ASSERT_TRUE(put(*store, 2 + i % 5, 1 + i % 50));
      if (i % 100 == 0) store->maintain();
      ASSERT_LT(fs::file_size(folder.path() + "/journal"), 400'000U);
    }
  }
  auto store = open_store(folder.path());
  EXPECT_EQ(store->statistics().objects, 6U);
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const auto object = store->find(key_of(seed));
    ASSERT_TRUE(object);
    EXPECT_TRUE(holds_pattern(*store, *object, seed));
  }
}

TEST(StoreSpace, ManyStartsDoNotMakeTheJournalGrow) {
  const TemporaryFolder folder{fast_folder()};
  base::configure_log({.level = base::LogLevel::Error});
  for (std::uint64_t start = 0; start < 40; ++start) {
    auto store = open_store(folder.path());
    for (std::uint64_t i = 0; i < 400; ++i) ASSERT_TRUE(put(*store, 1 + i % 4, 100));
  }
  const auto store = open_store(folder.path());
  EXPECT_LT(store->statistics().drives[0].journal, 400'000U);
  base::configure_log({});
}

TEST(StoreSpace, ACompactionWhileAnObjectIsMadeDoesNotLoseIt) {
  const TemporaryFolder folder;
  const Key key = key_of(1'000'000);
  {
    auto store = open_store(folder.path());
    // Until the journal wants to be compacted.
    for (std::uint64_t i = 0; store->statistics().drives[0].journal < 280'000; ++i) {
      ASSERT_TRUE(put(*store, i % 5, 1 + i % 50));
    }
    std::future<void> compaction;
    const auto object = store->create(key, {}, 2 * kMiB, {}, [&](const std::shared_ptr<Object>&) {
      compaction = std::async(std::launch::async, [&] { store->maintain(); });
      // Long enough for it to come through; as it should be, it waits until the object is there.
      compaction.wait_for(std::chrono::milliseconds(300));
    });
    ASSERT_TRUE(object);
    compaction.get();
    ASSERT_TRUE(write_pattern(*store, **object, 1, 7));
    ASSERT_LT(store->statistics().drives[0].journal, 280'000U);
  }
  auto store = open_store(folder.path());
  const auto object = store->find(key);
  ASSERT_TRUE(object);
  EXPECT_TRUE(object->has_slice(1));
  EXPECT_TRUE(holds_pattern(*store, *object, 7));
}

// A file system of `size` in the folder, which goes away with the process, whatever happens: its
// mount is one of our own namespace. False where that is not allowed.
bool mount_small(const std::string& path, const char* size) {
  return ::geteuid() == 0 && ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", path.c_str(), "tmpfs", 0, size) == 0;
}

class StoreOnASmallFileSystem : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!mount_small(folder.path(), "size=24m")) {
      GTEST_SKIP() << "a full disk needs root and mount(2) for a small tmpfs: "
                   << std::strerror(errno);
    }
    base::configure_log({.level = base::LogLevel::Error});
  }
  void TearDown() override {
    base::configure_log({});
    ::umount2(folder.path().c_str(), MNT_DETACH);
  }
  // Takes all that is free but `left`, as others do.
  void fill(std::uint64_t left) const {
    const auto space = file_system_space(folder.path());
    ASSERT_TRUE(space);
    if (space->free <= left) return;
    std::ofstream file(folder.path() + "/others", std::ios::binary | std::ios::app);
    const std::string bytes(space->free - left, 'x');
    file << bytes << std::flush;
    ASSERT_TRUE(file.good());
  }

  const TemporaryFolder folder;
};

TEST_F(StoreOnASmallFileSystem, ASizeThatIsNotThereEvictsAsIfItWereSmaller) {
  auto store = open_store(folder.path(), 1 << 30);
  ASSERT_TRUE(put(*store, 1, 5000));
  for (std::uint64_t seed = 2; seed < 60; ++seed) {
    ASSERT_TRUE(store->find(key_of(1))) << seed;
    ASSERT_TRUE(put(*store, seed, seed % 2 == 0 ? kMiB + 100 : kMiB - 100)) << seed;
    if (seed % 3 == 0) store->maintain();
  }
  const Statistics after = store->statistics();
  EXPECT_GT(after.evicted_objects, 20U);
  EXPECT_GT(after.objects, 10U);
  EXPECT_EQ(after.drives[0].state, DriveState::Short);
  EXPECT_EQ(after.drives[0].size, 1U << 30);
  EXPECT_LT(after.drives[0].limit, 24 * kMiB);
  EXPECT_EQ(after.size, after.drives[0].limit);
  EXPECT_EQ(after.write_errors, 0U) << "it stays ahead of the end";
}

TEST_F(StoreOnASmallFileSystem, WhatOthersTakeBetweenTwoLooksIsEvictedByTheWriteThatMeetsIt) {
  auto store = open_store(folder.path(), 1 << 30);
  for (std::uint64_t seed = 1; seed < 13; ++seed) ASSERT_TRUE(put(*store, seed, kMiB + 100));
  fill(300'000);
  for (std::uint64_t seed = 21; seed < 25; ++seed) {
    ASSERT_TRUE(put(*store, seed, seed % 2 == 0 ? kMiB + 100 : kMiB - 100)) << seed;
    fill(300'000);
    store->maintain();
  }
  const Statistics after = store->statistics();
  EXPECT_GT(after.write_errors, 0U);
  EXPECT_GT(after.objects, 3U) << "one write does not empty the drive";
  EXPECT_EQ(after.drives[0].state, DriveState::Short);
}

TEST_F(StoreOnASmallFileSystem, WithNothingThatCanBeFreedItRefusesAndServes) {
  auto store = open_store(folder.path(), 1 << 30);
  const auto held = put(*store, 1, 3 * kMiB);
  ASSERT_TRUE(held);
  fill(0);
  for (int attempt = 0; attempt < 3; ++attempt) {
    store->maintain();
    const auto refused = store->create(key_of(77), {}, 10 * kMiB);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, base::ErrorCode::ResourceExhausted) << refused.error().message;
  }
  EXPECT_NE(store->statistics().drives[0].state, DriveState::Failing);
  EXPECT_TRUE(holds_pattern(*store, *held, 1));
}

TEST_F(StoreOnASmallFileSystem, ItOpensWhenNothingIsFreeAndHasWhatWasThere) {
  {
    auto store = open_store(folder.path(), 1 << 30);
    for (std::uint64_t seed = 1; seed < 13; ++seed) ASSERT_TRUE(put(*store, seed, kMiB + 100));
    fill(0);
  }
  auto store = open_store(folder.path(), 1 << 30);
  ASSERT_TRUE(store);
  EXPECT_GT(store->statistics().objects, 3U);
  for (std::uint64_t seed = 1; seed < 13; ++seed) {
    const auto object = store->find(key_of(seed));
    EXPECT_TRUE(!object || holds_pattern(*store, *object, seed));
  }
}

TEST_F(StoreOnASmallFileSystem, HalfIsLeftWhereItIsAskedFor) {
  auto opened =
      Store::open({.drives = {{.path = folder.path(), .size = 1 << 30, .leaves_half = true}},
                   .background = false});
  ASSERT_TRUE(opened);
  for (std::uint64_t seed = 1; seed < 40; ++seed) {
    ASSERT_TRUE(put(**opened, seed, kMiB + 100)) << seed;
    (*opened)->maintain();
  }
  EXPECT_LE(disk_usage(folder.path()), 12 * kMiB);
  EXPECT_GT((*opened)->statistics().objects, 3U);
  EXPECT_EQ((*opened)->statistics().drives[0].state, DriveState::Good);
}

TEST(StoreSpace, ABrokenDriveTakesNothingUntilATrialWriteSucceeds) {
  const TemporaryFolder folder;
  base::ManualClock clock(base::from_unix_seconds(1'800'000'000));
  auto store = Store::open({.drives = {{.path = folder.path(), .size = 64 * kMiB}},
                            .background = false,
                            .clock = &clock})
                   .value();
  ASSERT_TRUE(put(*store, 1, 3 * kMiB));
  const auto state = [&] { return store->drive_statistics().front().state; };
  // Neither new objects nor the trial find a place.
  const fs::path objects = fs::path(folder.path()) / "objects";
  fs::rename(objects, objects.string() + ".away");
  std::ofstream(objects) << "in the way";
  fs::create_directory(fs::path(folder.path()) / "trial");
  EXPECT_FALSE(put(*store, 2, 3 * kMiB));
  EXPECT_EQ(state(), DriveState::Failing);
  EXPECT_FALSE(store->drive_statistics().front().write_error.empty());
  const auto errors = store->statistics().write_errors;
  store->maintain();
  EXPECT_EQ(store->statistics().write_errors, errors) << "left alone for half a minute";
  clock.advance(std::chrono::seconds(31));
  EXPECT_EQ(state(), DriveState::Failing) << "time alone mends nothing";
  store->maintain();
  EXPECT_EQ(state(), DriveState::Failing);
  EXPECT_EQ(store->statistics().write_errors, errors + 1);

  fs::remove(objects);
  fs::rename(objects.string() + ".away", objects);
  fs::remove(fs::path(folder.path()) / "trial");
  clock.advance(std::chrono::seconds(31));
  store->maintain();
  EXPECT_EQ(state(), DriveState::Good);
  EXPECT_FALSE(fs::exists(fs::path(folder.path()) / "trial"));
  EXPECT_TRUE(put(*store, 3, 3 * kMiB));
}

TEST(StoreSpace, ADriveThatIsBrokenAtStartIsNotTakenForGood) {
  const TemporaryFolder folder;
  base::ManualClock clock(base::from_unix_seconds(1'800'000'000));
  const auto open = [&] {
    return Store::open({.drives = {{.path = folder.path(), .size = 64 * kMiB}},
                        .background = false,
                        .clock = &clock})
        .value();
  };
  ASSERT_TRUE(put(*open(), 1, kMiB));
  const fs::path in_the_way = fs::path(folder.path()) / "trial";
  fs::create_directory(in_the_way);
  const auto store = open();
  const auto state = [&] { return store->drive_statistics().front().state; };
  EXPECT_EQ(state(), DriveState::Failing) << "nothing was written since the start";
  EXPECT_FALSE(store->drive_statistics().front().write_error.empty());
  EXPECT_EQ(store->statistics().objects, 1U) << "what it holds is served";

  fs::remove(in_the_way);
  clock.advance(std::chrono::seconds(31));
  store->maintain();
  EXPECT_EQ(state(), DriveState::Good);
}

TEST(StoreSpace, ManyThreadsWriteReadAndEvictAtOnce) {
  const TemporaryFolder folder;
  base::configure_log({.level = base::LogLevel::Error});
  constexpr std::uint64_t kSize = 24 * kMiB;
  constexpr std::uint64_t kNames = 60;
  auto opened =
      Store::open({.drives = {{.path = folder.path(), .size = kSize}}, .open_objects = 8});
  ASSERT_TRUE(opened);
  Store& store = **opened;
  std::atomic<std::uint64_t> version = 1;
  std::atomic<int> wrong = 0;
  std::atomic<std::uint64_t> reads = 0;
  const auto work = [&](std::uint32_t seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 120; ++i) {
      const Key key = key_of(random() % kNames);
      switch (random() % 6) {
        case 0:
        case 1: {
          const std::uint64_t mine = version++;
          const auto object =
              store.create(key, base::as_bytes(std::to_string(mine)), length_for(random));
          if (!object) break;
          for (std::uint32_t slice = 0; slice < (*object)->slice_count(); ++slice) {
            if (random() % 3 == 0) continue;
            static_cast<void>(write_pattern(store, **object, slice, mine));
          }
          break;
        }
        case 2:
          if (random() % 4 == 0) store.remove(key);
          break;
        case 3:
          if (const auto object = store.find_open(key)) {
            const auto same = object->metadata();
            static_cast<void>(store.update_metadata(*object, base::as_bytes(*same)));
          }
          break;
        default:
          if (const auto object = store.find(key)) {
            ++reads;
            store.note_use(*object);
            // Every slice that it says it has must read right, whatever others do meanwhile.
            if (!holds_pattern(store, *object, std::stoull(*object->metadata()))) ++wrong;
          }
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t seed = 1; seed <= 6; ++seed) threads.emplace_back(work, seed);
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(reads, 10U);
  EXPECT_LE(store.statistics().used, kSize);
  EXPECT_LE(disk_usage(folder.path()), kSize);
  EXPECT_EQ(store.statistics().lost_slices, 0U);
  const std::uint64_t objects = store.statistics().objects;
  opened->reset();
  const auto again = open_store(folder.path(), kSize);
  EXPECT_LE(again->statistics().objects, objects);
  base::configure_log({});
}

}  // namespace
}  // namespace larder::store
