// Starts with drives of which a part cannot be read, written or freed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/file.h"
#include "base/log.h"
#include "store/testing.h"

namespace {
std::atomic<bool> has_no_holes = false;
}

// In place of the library's: a file system may not be able to free parts of files.
extern "C" int fallocate(int fd, int mode, off_t offset, off_t length) {
  if (has_no_holes) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, length));
}

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr std::uint64_t kLarge = 2 * kMiB + 7;
constexpr std::uint64_t kSmall = 3000;
constexpr std::uint64_t kLongestFile = 1 << 20;

class StoreStart : public ::testing::Test {
 protected:
  void SetUp() override { base::configure_log({.level = base::LogLevel::Error}); }
  void TearDown() override {
    has_no_holes = false;
    base::configure_log({});
  }

  static std::unique_ptr<Store> open(std::vector<DriveSettings> drives) {
    auto store = Store::open({.drives = std::move(drives), .background = false, .name_of = whole});
    EXPECT_TRUE(store) << (store ? "" : store.error().message);
    return store ? std::move(*store) : nullptr;
  }

  static std::string bytes_of(const std::string& path) {
    return base::read_file(path, kLongestFile).value_or("");
  }

  const TemporaryFolder one_;
  const TemporaryFolder two_;
  const DriveSettings first_{.path = one_.path(), .size = 64 * kMiB};
  const DriveSettings second_{.path = two_.path(), .size = 64 * kMiB};
};

TEST_F(StoreStart, WithADriveThatCannotBeReadLeavesTheOthersAlone) {
  {
    auto store = open({first_, second_});
    for (std::uint64_t seed = 1; seed <= 8; ++seed) ASSERT_TRUE(put(*store, seed, kLarge));
  }
  fs::remove(one_.path() + "/journal");
  fs::create_directory(one_.path() + "/journal");
  const std::string before = bytes_of(two_.path() + "/journal");
  ASSERT_FALSE(before.empty());
  auto store = open({first_, second_});
  EXPECT_EQ(store->statistics().drives[1].state, DriveState::Missing);
  EXPECT_TRUE(bytes_of(two_.path() + "/journal") == before)
      << "not written before it is known what is there";
}

TEST_F(StoreStart, WithASegmentThatCannotBeOpenedUsesTheRestOfTheDrive) {
  {
    auto store = open({first_});
    ASSERT_TRUE(put(*store, 1, kLarge));
    ASSERT_TRUE(put(*store, 2, kSmall));
  }
  const fs::path segment = fs::directory_iterator(one_.path() + "/segments")->path();
  fs::remove(segment);
  fs::create_directory(segment);
  auto store = open({first_});
  EXPECT_EQ(store->statistics().drives[0].state, DriveState::Good);
  const auto object = store->find(key_of(1));
  EXPECT_TRUE(object && holds_pattern(*store, *object, 1));
  const auto fresh = put(*store, 3, kSmall);
  EXPECT_TRUE(fresh && holds_pattern(*store, *fresh, 3));
}

TEST_F(StoreStart, NeedsNoDriveThatTakesTheOrders) {
  {
    auto store = open({first_, second_});
    ASSERT_TRUE(put(*store, 1, kLarge));
    ASSERT_TRUE(put(*store, 2, kLarge));
    ASSERT_TRUE(store->pin({.text = "x", .is_prefix = false}));
  }
  fs::remove(two_.path() + "/orders");  // as after a crash between the two
  const LongestFile limit(0);
  auto store = open({first_, second_});
  ASSERT_TRUE(store);
  EXPECT_TRUE(store->find(key_of(1)));
  EXPECT_TRUE(store->find(key_of(2)));
  EXPECT_EQ(store->pins().size(), 1U);
}

TEST_F(StoreStart, WithoutOrdersThatCanBeReadBeginsAnew) {
  {
    auto store = open({first_});
    for (const std::uint64_t seed : {1U, 2U}) {
      ASSERT_TRUE(
          store->create(key_of(seed), base::as_bytes("n"), 0, "group " + std::to_string(seed)));
    }
  }
  std::string orders = bytes_of(one_.path() + "/orders");
  ASSERT_FALSE(orders.empty());
  orders[orders.size() / 2] ^= 1;
  ASSERT_TRUE(base::write_file_atomically(one_.path() + "/orders", orders, 0600));
  {
    // Which groups the numbers of the objects stand for, nobody knows any more.
    auto store = open({first_});
    EXPECT_EQ(store->statistics().objects, 0U);
    ASSERT_TRUE(store->create(key_of(3), base::as_bytes("n"), 0, "group 2"));
  }
  auto store = open({first_});
  EXPECT_TRUE(store->find(key_of(3))) << "once";
  EXPECT_TRUE(store->purge_group("group 2"));
  EXPECT_FALSE(store->find(key_of(3)));
}

TEST_F(StoreStart, OneWholeCopyOfTheOrdersIsEnough) {
  {
    auto store = open({first_, second_});
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
      ASSERT_TRUE(store->create(key_of(seed), base::as_bytes("n"), kLarge, "group"));
    }
  }
  ASSERT_TRUE(base::write_file_atomically(one_.path() + "/orders", "LARDEROR", 0600));
  EXPECT_EQ(open({first_, second_})->statistics().objects, 8U);
}

TEST_F(StoreStart, CountsWhatTheFileSystemCannotFree) {
  has_no_holes = true;
  const std::uint64_t length = 900'000;
  {
    auto store = open({first_});
    for (std::uint64_t seed = 1; seed <= 20; ++seed) ASSERT_TRUE(put(*store, seed, length));
    for (std::uint64_t seed = 1; seed <= 20; seed += 2) store->remove(key_of(seed));
    store->maintain();
    EXPECT_GE(store->statistics().used, disk_usage(one_.path()));
  }
  auto store = open({first_});
  EXPECT_EQ(store->statistics().objects, 10U);
  EXPECT_GE(store->statistics().used, disk_usage(one_.path()));
  // It comes back with the last object of its segment.
  for (std::uint64_t seed = 2; seed <= 20; seed += 2) store->remove(key_of(seed));
  ASSERT_TRUE(put(*store, 21, length));
  store->maintain();
  EXPECT_GE(store->statistics().used, disk_usage(one_.path()));
  EXPECT_LT(store->statistics().used, 8 * kMiB);
}

TEST_F(StoreStart, TakesNoObjectThatNoDriveCanHold) {
  const DriveSettings larger{.path = two_.path(), .size = 128 * kMiB};
  auto store = open({first_, larger});
  const auto refused = store->create(key_of(1), base::as_bytes("n"), larger.size + 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::ErrorCode::InvalidArgument);
  for (std::uint64_t seed = 2; seed < 6; ++seed) {
    const auto taken = store->create(key_of(seed), base::as_bytes("n"), first_.size + 1);
    ASSERT_TRUE(taken);
    EXPECT_TRUE(write_pattern(*store, **taken, 0, seed)) << "any part of it";
  }
  for (const ListItem& item : store->list({}).items) EXPECT_EQ(item.drive, larger.path);
}

}  // namespace
}  // namespace larder::store
