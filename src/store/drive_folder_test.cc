// Drives whose folder is not what it was, or was never one of ours: the others serve.
#include "store/drive_folder.h"

#include <algorithm>
#include <fstream>
#include <functional>

#include "base/clock.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr std::uint64_t kDriveSize = 64 << 20;
constexpr std::uint64_t kLarge = kSliceSize + 1234;
constexpr std::uint64_t kObjects = 12;

std::string_view name_of(std::string_view metadata) {
  return metadata;
}

class DriveFolderTest : public ::testing::Test {
 protected:
  DriveFolderTest() : one_(folder_.path() + "/one"), two_(folder_.path() + "/two") {}

  void open() {
    store_.reset();
    auto store = Store::open(
        {.drives = {{.path = one_, .size = kDriveSize}, {.path = two_, .size = kDriveSize}},
         .background = false,
         .name_of = name_of,
         .clock = &clock_});
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }

  // Objects on both drives, whatever becomes of some of them.
  void put_some() {
    for (std::uint64_t i = 0; i < kObjects; ++i) put(*store_, next_++, i % 2 == 0 ? kLarge : 3000);
  }

  DriveState state_of_one() {
    const auto drives = store_->drive_statistics();
    const auto one = std::ranges::find(drives, one_, &DriveStatistics::path);
    EXPECT_NE(one, drives.end());
    reason_ = one->write_error;
    return one->state;
  }

  // Both are used again, and hold what they are given.
  void expect_both_work() {
    open();
    for (const DriveStatistics& drive : store_->drive_statistics()) {
      EXPECT_EQ(drive.state, DriveState::Good) << drive.path << ": " << drive.write_error;
    }
    const auto first = next_;
    put_some();
    for (auto number = first; number < next_; ++number) {
      const auto object = store_->find(key_of(number));
      EXPECT_TRUE(object && holds_pattern(*store_, *object, number)) << number;
    }
  }

  const base::TemporaryFolder folder_;
  const std::string one_;
  const std::string two_;
  base::ManualClock clock_{base::from_unix_seconds(1'800'000'000)};
  std::unique_ptr<Store> store_;
  std::uint64_t next_ = 1;
  std::string reason_;
};

TEST_F(DriveFolderTest, OneThatIsEmptiedWhileItIsUsedIsNotMadeAnew) {
  open();
  put_some();
  for (const auto& entry : fs::directory_iterator(one_)) fs::remove_all(entry);
  put_some();
  store_->maintain();
  EXPECT_EQ(state_of_one(), DriveState::Missing);
  EXPECT_NE(reason_.find(one_), std::string::npos) << reason_;
  const auto first = next_;
  put_some();
  for (auto number = first; number < next_; ++number) {
    EXPECT_TRUE(store_->find(key_of(number))) << "the other drive takes " << number;
  }
  EXPECT_TRUE(fs::is_empty(one_));
  expect_both_work();
}

TEST_F(DriveFolderTest, NothingIsWrittenToWhatIsThereInsteadOfADrive) {
  open();
  put_some();
  store_->maintain();
  // As a file system that goes away leaves its mount point.
  fs::rename(one_, folder_.path() + "/away");
  fs::create_directory(one_);
  clock_.advance(std::chrono::seconds(31));
  store_->maintain();
  EXPECT_EQ(state_of_one(), DriveState::Missing) << "noticed without a request";
  put_some();
  EXPECT_TRUE(store_->purge_prefix("object 1"));
  clock_.advance(std::chrono::seconds(31));
  store_->maintain();
  EXPECT_TRUE(fs::is_empty(one_));
  // It is not used before the next start, when a purge holds for it too.
  fs::remove(one_);
  fs::rename(folder_.path() + "/away", one_);
  clock_.advance(std::chrono::seconds(31));
  store_->maintain();
  EXPECT_EQ(state_of_one(), DriveState::Missing);
  expect_both_work();
  EXPECT_FALSE(store_->find(key_of(1)));
  EXPECT_FALSE(store_->find(key_of(10)));
}

TEST_F(DriveFolderTest, OneThatLostAFolderIsNotUsedBeforeTheNextStart) {
  open();
  put_some();
  fs::remove_all(one_ + "/objects");
  put_some();
  store_->maintain();
  EXPECT_EQ(state_of_one(), DriveState::Missing);
  EXPECT_FALSE(fs::exists(one_ + "/objects"));
  expect_both_work();
}

TEST_F(DriveFolderTest, OneThatHoldsSomethingElseIsLeftOutAndNotTouched) {
  open();
  put_some();
  store_.reset();
  const std::string kept = folder_.path() + "/store";
  fs::copy_file(one_ + "/store", kept);
  const std::pair<const char*, std::function<void()>> cases[] = {
      {"an empty identity", [&] { fs::resize_file(one_ + "/store", 0); }},
      {"another identity", [&] { std::ofstream(one_ + "/store") << "something else"; }},
      {"no identity", [&] { fs::remove(one_ + "/store"); }},
  };
  for (const auto& [what, damage] : cases) {
    damage();
    open();
    EXPECT_EQ(state_of_one(), DriveState::Missing) << what;
    EXPECT_NE(reason_.find("empty this one"), std::string::npos) << what << ": " << reason_;
    put_some();
    EXPECT_TRUE(store_->find(key_of(next_ - 1))) << what << ": the other drive serves";
    store_.reset();
    EXPECT_TRUE(fs::exists(one_ + "/objects")) << what;
  }
  fs::copy_file(kept, one_ + "/store", fs::copy_options::overwrite_existing);
  expect_both_work();
}

TEST_F(DriveFolderTest, OneThatIsNotToBeOpenedIsLeftOutAndNothingIsMadeThere) {
  const std::string reason = "it is not mounted";
  auto store = Store::open(
      {.drives = {{.path = one_, .size = kDriveSize, .leaves_half = false, .unusable = reason},
                  {.path = two_, .size = kDriveSize}},
       .background = false,
       .clock = &clock_});
  ASSERT_TRUE(store);
  store_ = std::move(*store);
  put_some();
  EXPECT_EQ(state_of_one(), DriveState::Missing);
  EXPECT_EQ(reason_, reason);
  EXPECT_FALSE(fs::exists(one_));
}

}  // namespace
}  // namespace larder::store
