// One drive without a store around it: what its start frees.
#include "store/drive.h"

#include <algorithm>

#include "base/file.h"
#include "store/index.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr std::uint64_t kDriveSize = 64 << 20;
constexpr std::uint64_t kSmall = 500'000;
constexpr std::uint64_t kLarge = kSliceSize + 1234;
constexpr std::uint64_t kObjects = 30;  // small ones, in several segments of 4 MiB

// kObjects small objects, and a large one under the next number.
void fill(const std::string& path) {
  auto store = open_store(path, kDriveSize);
  for (std::uint64_t number = 0; number < kObjects; ++number) {
    ASSERT_TRUE(put(*store, number, kSmall));
  }
  ASSERT_TRUE(put(*store, kObjects, kLarge));
}

std::vector<std::string> segments_in(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path + "/segments")) {
    names.push_back(entry.path().string());
  }
  std::ranges::sort(names);
  return names;
}

std::uint64_t readable_objects(Store& store) {
  std::uint64_t count = 0;
  for (std::uint64_t number = 0; number <= kObjects; ++number) {
    const auto object = store.find(key_of(number));
    if (object && object->has_slice(0) && holds_pattern(store, *object, number)) ++count;
  }
  return count;
}

TEST(Drive, ASweepThatFailedIsRepeatedWithoutALoss) {
  const TemporaryFolder folder;
  fill(folder.path());
  {
    const base::SystemClock clock;
    const auto drive = Drive::lock({.path = folder.path(), .size = kDriveSize}, clock);
    ASSERT_TRUE(drive);
    Index index;
    index.set_drives({drive->get()});
    const auto secret = (*drive)->secret();
    ASSERT_TRUE(secret);
    ASSERT_TRUE((*drive)->load(*secret, index, 0, ""));
    ASSERT_TRUE((*drive)->settle(index));
    for (const char* name : {"objects", "segments"}) {
      const std::string listed = folder.path() + "/" + name;
      fs::rename(listed, folder.path() + "/away");
      EXPECT_FALSE((*drive)->sweep(false)) << name;
      EXPECT_FALSE((*drive)->is_swept());
      fs::rename(folder.path() + "/away", listed);
    }
    ASSERT_TRUE((*drive)->sweep(false));
    EXPECT_TRUE((*drive)->is_swept());
  }
  auto store = open_store(folder.path(), kDriveSize);
  EXPECT_EQ(readable_objects(*store), kObjects + 1);
}

TEST(Drive, ASegmentThatCannotBeOpenedCostsOnlyItself) {
  const TemporaryFolder folder;
  fill(folder.path());
  const std::vector<std::string> segments = segments_in(folder.path());
  ASSERT_GE(segments.size(), 3U);
  fs::rename(segments[0], folder.path() + "/away");
  fs::create_symlink(segments[0], segments[0]);
  auto store = open_store(folder.path(), kDriveSize);
  ASSERT_TRUE(store);
  EXPECT_EQ(store->statistics().objects, kObjects + 1) << "the drive is used";
  store.reset();
  fs::rename(folder.path() + "/away", segments[0]);
  store = open_store(folder.path(), kDriveSize);
  EXPECT_EQ(readable_objects(*store), kObjects + 1);
}

TEST(Drive, WhatAKilledProcessHadBegunToWriteIsRemoved) {
  const TemporaryFolder folder;
  fill(folder.path());
  const std::string orders = folder.path() + "/orders.new-0123456789abcdef";
  const std::string identity = folder.path() + "/store.new-0123456789abcdef";
  const std::string other = folder.path() + "/orders.new";
  for (const std::string& path : {orders, identity, other}) {
    ASSERT_TRUE(base::write_file_atomically(path, "half", 0600));
  }
  const auto store = open_store(folder.path(), kDriveSize);
  EXPECT_FALSE(fs::exists(orders));
  EXPECT_FALSE(fs::exists(identity));
  EXPECT_TRUE(fs::exists(other)) << "not a name that we give";
  EXPECT_EQ(readable_objects(*store), kObjects + 1);
}

}  // namespace
}  // namespace larder::store
