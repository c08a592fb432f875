#include "store/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/unique_fd.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr std::uint64_t kLarge = 3 * kSliceSize + 1234;

std::string only_file_below(const std::string& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) return entry.path().string();
  }
  return "";
}

void flip_byte(const std::string& path, std::uint64_t offset) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  std::uint8_t byte = 0;
  ASSERT_EQ(::pread(fd.get(), &byte, 1, static_cast<off_t>(offset)), 1);
  byte ^= 0x10;
  ASSERT_EQ(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(offset)), 1);
}

TEST(Store, ServesWhatWasWrittenAlsoAfterARestart) {
  const TemporaryFolder folder;
  std::array<std::uint8_t, 16> secret{};
  std::uint64_t newest = 0;
  {
    auto store = open_store(folder.path());
    secret = store->secret();
    for (const std::uint64_t length :
         {0ULL, 1ULL, 4096ULL, 100'000ULL, 1ULL << 20, 1ULL + (1 << 20)}) {
      const auto object = put(*store, length + 1, length);
      ASSERT_TRUE(object);
      EXPECT_TRUE(object->has_range(0, length));
      EXPECT_TRUE(holds_pattern(*store, *object, length + 1));
      newest = object->id();
    }
    EXPECT_EQ(store->statistics().objects, 6U);
    EXPECT_EQ(store->statistics().slices, 6U);
  }
  auto store = open_store(folder.path());
  EXPECT_EQ(store->secret(), secret);
  EXPECT_EQ(store->statistics().objects, 6U);
  EXPECT_EQ(store->statistics().slices, 6U);
  for (const std::uint64_t length :
       {0ULL, 1ULL, 4096ULL, 100'000ULL, 1ULL << 20, 1ULL + (1 << 20)}) {
    EXPECT_FALSE(store->find_open(key_of(length + 1)));
    const auto object = store->find(key_of(length + 1));
    ASSERT_TRUE(object) << length;
    EXPECT_EQ(object->length(), length);
    EXPECT_EQ(*object->metadata(), "object " + std::to_string(length + 1));
    EXPECT_TRUE(object->has_range(0, length));
    EXPECT_TRUE(holds_pattern(*store, *object, length + 1));
    EXPECT_EQ(store->find_open(key_of(length + 1)), object);
  }
  EXPECT_FALSE(store->find(key_of(99)));
  EXPECT_GT(put(*store, 77, 10)->id(), newest) << "ids never go back";
}

TEST(Store, KnowsWhichSlicesOfALargeObjectAreThere) {
  const TemporaryFolder folder;
  {
    auto store = open_store(folder.path());
    const auto object = store->create(key_of(1), base::as_bytes("m"), kLarge);
    ASSERT_TRUE(object);
    EXPECT_EQ((*object)->slice_count(), 4U);
    EXPECT_EQ((*object)->slice_length(3), 1234U);
    ASSERT_TRUE(write_pattern(*store, **object, 3, 1));
    ASSERT_TRUE(write_pattern(*store, **object, 1, 1));
    EXPECT_TRUE(write_pattern(*store, **object, 1, 1)) << "a second time changes nothing";
  }
  auto store = open_store(folder.path());
  const auto object = store->find(key_of(1));
  ASSERT_TRUE(object);
  EXPECT_FALSE(object->has_slice(0));
  EXPECT_TRUE(object->has_slice(1));
  EXPECT_FALSE(object->has_slice(2));
  EXPECT_TRUE(object->has_slice(3));
  EXPECT_FALSE(object->has_slice(4));
  EXPECT_TRUE(object->has_range(kSliceSize + 5, 100));
  EXPECT_FALSE(object->has_range(kSliceSize + 5, kSliceSize));
  EXPECT_FALSE(object->has_range(kLarge - 1, 2));
  EXPECT_TRUE(holds_pattern(*store, *object, 1));
  EXPECT_EQ(store->prepare(*object, 0, 10).error().code, base::ErrorCode::NotFound);
}

TEST(Store, NewObjectIsAnnouncedBeforeItIsFound) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{5000}, kLarge}) {
    std::shared_ptr<Object> announced;
    bool was_found = true;
    const auto object = store->create(key_of(length), {}, length, {}, [&](const auto& made) {
      announced = made;
      was_found = store->contains(key_of(length));
    });
    ASSERT_TRUE(object);
    EXPECT_EQ(announced, *object);
    EXPECT_FALSE(was_found);
    EXPECT_EQ(store->find_open(key_of(length)), *object);
  }
}

TEST(Store, TwoWritersOfASliceBothHaveItStored) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path(), 256 << 20);
  for (std::uint64_t number = 0; number < 100; ++number) {
    const auto object = store->create(key_of(number), {}, kSliceSize + 1);
    ASSERT_TRUE(object);
    base::Status other;
    std::thread writer([&] { other = write_pattern(*store, **object, 0, number); });
    EXPECT_TRUE(write_pattern(*store, **object, 0, number));
    EXPECT_TRUE((*object)->has_slice(0));
    writer.join();
    EXPECT_TRUE(other) << other.error().message;
  }
}

TEST(Store, RefusesWhatIsNotAWholeSlice) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  const auto object = store->create(key_of(1), {}, kLarge);
  ASSERT_TRUE(object);
  EXPECT_EQ(store->write_slice(**object, 0, pattern(1, 0, 100)).error().code,
            base::ErrorCode::InvalidArgument);
  EXPECT_EQ(store->write_slice(**object, 4, pattern(1, 0, 100)).error().code,
            base::ErrorCode::InvalidArgument);
  EXPECT_FALSE(store->create(key_of(2), std::vector<std::uint8_t>(kMetadataLimit + 1), 5));
}

TEST(Store, AnObjectThatTheFileSystemHasNoFilesForIsNotTheDrivesFault) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  const LongestFile limit(32 << 20);
  const auto refused = store->create(key_of(1), {}, 40 << 20);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::InvalidArgument);
  EXPECT_EQ(store->drive_statistics()[0].state, DriveState::Good);
  EXPECT_EQ(store->statistics().write_errors, 0U);
  EXPECT_EQ(only_file_below(folder.path() + "/objects"), "");
  EXPECT_TRUE(put(*store, 2, kLarge)) << "others are stored";
}

TEST(Store, GivesADescriptorAndAWindowOfTheSameBytes) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  for (const std::uint64_t length : {std::uint64_t{5000}, kLarge}) {
    const auto object = put(*store, length, length);
    ASSERT_TRUE(object);
    const std::uint64_t offset = length / 3;
    const std::uint64_t count = length - offset;
    ASSERT_TRUE(store->prepare(*object, offset, count));
    EXPECT_TRUE(object->is_ready(offset, count));
    const auto expected = pattern(length, offset, count);
    const auto window = object->window(offset, count);
    EXPECT_TRUE(std::equal(window.begin(), window.end(), expected.begin(), expected.end()));
    std::vector<std::uint8_t> read(count);
    ASSERT_EQ(::pread(object->fd(), read.data(), count,
                      static_cast<off_t>(object->file_offset_of(offset))),
              static_cast<ssize_t>(count));
    EXPECT_EQ(read, expected);
    EXPECT_FALSE(object->has_faulted());
  }
}

TEST(Store, IsNotReadyBeforeTheFirstVerificationAfterOpening) {
  const TemporaryFolder folder;
  {
    ASSERT_TRUE(put(*open_store(folder.path()), 1, kLarge));
  }
  auto store = open_store(folder.path());
  const auto object = store->find(key_of(1));
  ASSERT_TRUE(object);
  EXPECT_FALSE(object->is_ready(0, kLarge));
  ASSERT_TRUE(store->prepare(*object, 0, kLarge));
  EXPECT_TRUE(object->is_ready(0, kLarge));
  EXPECT_TRUE(object->is_ready(kSliceSize - 1, 2));
}

TEST(Store, ReplacedGenerationStaysReadableForItsHolders) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  for (const std::uint64_t length : {std::uint64_t{5000}, kLarge}) {
    const Key key = key_of(length);
    const auto old = put(*store, length, length);
    const auto fresh = store->create(key, base::as_bytes("new"), length + 1);
    ASSERT_TRUE(fresh);
    EXPECT_TRUE(old->is_removed());
    EXPECT_EQ(store->find(key), *fresh);
    store->maintain();
    EXPECT_TRUE(holds_pattern(*store, *old, length));
    EXPECT_EQ(store->write_slice(*old, 0, pattern(1, 0, old->slice_length(0))).error().code,
              base::ErrorCode::FailedPrecondition);
    ASSERT_TRUE(write_pattern(*store, **fresh, 0, 7));
    EXPECT_TRUE(holds_pattern(*store, **fresh, 7));
    EXPECT_TRUE(holds_pattern(*store, *old, length));
  }
}

TEST(Store, RemovedObjectStaysRemovedAfterARestartAndItsSpaceComesBack) {
  const TemporaryFolder folder;
  {
    auto store = open_store(folder.path());
    const std::uint64_t before = store->statistics().used;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) ASSERT_TRUE(put(*store, seed, 50'000));
    ASSERT_TRUE(put(*store, 21, kLarge));
    EXPECT_GT(store->statistics().used, before + kLarge);
    for (std::uint64_t seed = 2; seed <= 21; ++seed) store->remove(key_of(seed));
    store->maintain();
    EXPECT_LT(store->statistics().used, before + (1 << 20));
    EXPECT_LT(disk_usage(folder.path()), 600'000U);
    EXPECT_EQ(store->statistics().objects, 1U);
  }
  auto store = open_store(folder.path());
  EXPECT_TRUE(store->find(key_of(1)));
  for (std::uint64_t seed = 2; seed <= 21; ++seed) EXPECT_FALSE(store->contains(key_of(seed)));
}

TEST(Store, UpdatedMetadataIsThereAfterARestartAndTheBytesStay) {
  const TemporaryFolder folder;
  {
    auto store = open_store(folder.path());
    for (const std::uint64_t length : {std::uint64_t{5000}, kLarge}) {
      const auto object = put(*store, length, length);
      for (int i = 0; i < 5; ++i) {
        const std::string text = "version " + std::to_string(i);
        ASSERT_TRUE(store->update_metadata(*object, base::as_bytes(text)));
        EXPECT_EQ(*object->metadata(), text);
      }
      EXPECT_EQ(
          store->update_metadata(*object, std::vector<std::uint8_t>(kMetadataLimit)).error().code,
          base::ErrorCode::ResourceExhausted);
    }
  }
  auto store = open_store(folder.path());
  for (const std::uint64_t length : {std::uint64_t{5000}, kLarge}) {
    const auto object = store->find(key_of(length));
    ASSERT_TRUE(object);
    EXPECT_EQ(*object->metadata(), "version 4");
    EXPECT_TRUE(holds_pattern(*store, *object, length));
  }
}

TEST(Store, TornMetadataLeavesTheOlderOne) {
  const TemporaryFolder folder;
  {
    auto store = open_store(folder.path());
    const auto object = put(*store, 1, kLarge);
    ASSERT_TRUE(store->update_metadata(*object, base::as_bytes("newer")));
  }
  // The second slot of a large object with little metadata begins after one slot of 2 KiB.
  flip_byte(only_file_below(folder.path() + "/objects"), 2048 + 64);
  auto store = open_store(folder.path());
  const auto object = store->find(key_of(1));
  ASSERT_TRUE(object);
  EXPECT_EQ(*object->metadata(), "object 1");
}

TEST(Store, AFlippedBitIsDataLossAndOnlyThatSliceIsDropped) {
  const TemporaryFolder folder;
  std::uint64_t offset = 0;
  {
    auto store = open_store(folder.path());
    offset = put(*store, 1, kLarge)->file_offset_of(kSliceSize + 77);
  }
  flip_byte(only_file_below(folder.path() + "/objects"), offset);
  {
    auto store = open_store(folder.path());
    const auto object = store->find(key_of(1));
    ASSERT_TRUE(object);
    std::vector<std::uint8_t> bytes(kSliceSize);
    EXPECT_TRUE(store->read(*object, 0, bytes));
    EXPECT_EQ(store->read(*object, kSliceSize, bytes).error().code, base::ErrorCode::DataLoss);
    EXPECT_FALSE(object->has_slice(1));
    EXPECT_TRUE(object->has_slice(2));
    EXPECT_EQ(store->statistics().lost_slices, 1U);
  }
  auto store = open_store(folder.path());
  const auto object = store->find(key_of(1));
  ASSERT_TRUE(object);
  EXPECT_FALSE(object->has_slice(1)) << "the loss is recorded";
  ASSERT_TRUE(write_pattern(*store, *object, 1, 1));
  EXPECT_TRUE(object->has_range(0, kLarge));
  EXPECT_TRUE(holds_pattern(*store, *object, 1));
}

TEST(Store, AFlippedBitInAPackedObjectDropsTheObject) {
  const TemporaryFolder folder;
  std::uint64_t offset = 0;
  {
    auto store = open_store(folder.path());
    offset = put(*store, 1, 9000)->file_offset_of(8999);
    ASSERT_TRUE(put(*store, 2, 9000));
  }
  flip_byte(only_file_below(folder.path() + "/segments"), offset);
  auto store = open_store(folder.path());
  {
    const auto object = store->find(key_of(1));
    ASSERT_TRUE(object);
    EXPECT_EQ(store->prepare(*object, 0, 10).error().code, base::ErrorCode::DataLoss);
  }
  EXPECT_FALSE(store->contains(key_of(1)));
  const auto other = store->find(key_of(2));
  ASSERT_TRUE(other);
  EXPECT_TRUE(holds_pattern(*store, *other, 2));
}

TEST(Store, ALostFileIsAnAbsentObject) {
  const TemporaryFolder folder;
  {
    auto store = open_store(folder.path());
    ASSERT_TRUE(put(*store, 1, kLarge));
    ASSERT_TRUE(put(*store, 2, 5000));
  }
  fs::remove(only_file_below(folder.path() + "/objects"));
  fs::remove(only_file_below(folder.path() + "/segments"));
  auto store = open_store(folder.path());
  EXPECT_FALSE(store->find(key_of(1)));
  EXPECT_FALSE(store->find(key_of(2)));
  EXPECT_FALSE(store->contains(key_of(1)));
  store->maintain();
  const auto object = put(*store, 3, 5000);
  ASSERT_TRUE(object);
  EXPECT_TRUE(holds_pattern(*store, *object, 3));
}

TEST(Store, ACreatedObjectThatWasNeverFilledIsForgotten) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  {
    ASSERT_TRUE(store->create(key_of(1), {}, 5000));
  }
  EXPECT_TRUE(store->find(key_of(1))) << "still open";
  store.reset();
  store = open_store(folder.path());
  EXPECT_FALSE(store->contains(key_of(1)));
}

TEST(Store, AFaultUnderAWindowRemovesTheObject) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  const auto object = put(*store, 1, kLarge);
  ASSERT_EQ(::truncate(only_file_below(folder.path() + "/objects").c_str(), 8192), 0);
  const auto window = object->window(kSliceSize, 4096);
  EXPECT_FALSE(object->has_faulted());
  volatile std::uint8_t byte = window[0];
  EXPECT_EQ(byte, 0);
  ASSERT_TRUE(object->has_faulted());
  store->report_fault(*object);
  EXPECT_FALSE(store->contains(key_of(1)));
  EXPECT_EQ(store->statistics().read_errors, 1U);
}

TEST(Store, AFaultOfOneThreadMakesTheObjectUnreadyForAll) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  const auto object = put(*store, 1, kLarge);
  ASSERT_TRUE(object->is_ready(0, kLarge));
  const std::string path = only_file_below(folder.path() + "/objects");
  const auto size = fs::file_size(path);
  const std::string content = *base::read_file(path, size);
  ASSERT_EQ(::truncate(path.c_str(), 8192), 0);
  std::thread([&] {
    volatile std::uint8_t byte = object->window(kSliceSize, 1)[0];
    EXPECT_EQ(byte, 0);
  }).join();
  // The drive recovers: the pages are in memory again, but for the zeros in the mapping.
  std::ofstream(path, std::ios::binary) << content;
  ASSERT_TRUE(object->is_resident(0, kLarge));
  EXPECT_TRUE(object->has_faulted());
  EXPECT_FALSE(object->is_ready(kSliceSize, 4096));
  EXPECT_TRUE(store->prepare(*object, 0, kLarge)) << "the file can be read";
}

TEST(Store, AFaultInASegmentIsOfTheObjectThatLiesThere) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  const auto good = put(*store, 1, 100'000);
  const auto bad = put(*store, 2, 100'000);
  const std::string path = only_file_below(folder.path() + "/segments");
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(bad->file_offset_of(0))), 0);
  volatile std::uint8_t byte = bad->window(50'000, 1)[0];
  EXPECT_EQ(byte, 0);
  EXPECT_TRUE(bad->has_faulted());
  EXPECT_FALSE(good->has_faulted());
  EXPECT_TRUE(good->is_ready(0, 100'000));
  // Others that come to lie there have a mapping without it.
  const auto next = put(*store, 3, 100'000);
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->is_ready(0, 100'000));
  EXPECT_NE(next->window(0, 1).data() - next->file_offset_of(0),
            good->window(0, 1).data() - good->file_offset_of(0));
}

TEST(Store, ADriveIsUsedByOneStoreAtATime) {
  const TemporaryFolder folder;
  auto store = open_store(folder.path());
  const auto second = Store::open({.drives = {{.path = folder.path(), .size = 64 << 20}}});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, base::ErrorCode::FailedPrecondition);
}

TEST(Store, RefusesSettingsThatCannotBeRight) {
  const TemporaryFolder folder;
  EXPECT_FALSE(Store::open({}));
  EXPECT_FALSE(Store::open({.drives = {{.path = folder.path(), .size = 1000}}}));
}

TEST(Store, ACacheOfAnotherVersionIsDiscarded) {
  const TemporaryFolder folder;
  {
    ASSERT_TRUE(put(*open_store(folder.path()), 1, kLarge));
  }
  flip_byte(folder.path() + "/store", 8);
  {
    auto store = open_store(folder.path());
    EXPECT_FALSE(store->contains(key_of(1)));
    EXPECT_LT(disk_usage(folder.path()), 100'000U);
    ASSERT_TRUE(put(*store, 2, kLarge));
  }
  flip_byte(folder.path() + "/journal", 8);
  auto store = open_store(folder.path());
  EXPECT_FALSE(store->contains(key_of(2)));
  EXPECT_LT(disk_usage(folder.path()), 100'000U);
}

TEST(Store, SpreadsOverDrivesAndKeepsOneSecret) {
  const TemporaryFolder one;
  const TemporaryFolder two;
  const auto settings = [&] {
    return StoreSettings{
        .drives = {{.path = one.path(), .size = 32 << 20}, {.path = two.path(), .size = 32 << 20}},
        .background = false};
  };
  std::array<std::uint8_t, 16> secret{};
  {
    auto store = Store::open(settings());
    ASSERT_TRUE(store);
    secret = (*store)->secret();
    for (std::uint64_t seed = 1; seed <= 10; ++seed) ASSERT_TRUE(put(**store, seed, kLarge - seed));
  }
  EXPECT_GT(disk_usage(one.path()), 5 * kSliceSize);
  EXPECT_GT(disk_usage(two.path()), 5 * kSliceSize);
  auto store = Store::open(settings());
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->secret(), secret);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto object = (*store)->find(key_of(seed));
    ASSERT_TRUE(object);
    EXPECT_TRUE(holds_pattern(**store, *object, seed));
  }
}

}  // namespace
}  // namespace larder::store
