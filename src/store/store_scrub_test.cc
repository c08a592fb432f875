// What the scrub finds beyond the bytes of slices: objects that cannot be opened any more.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "store/layout.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr std::uint64_t kLarge = 2 * kSliceSize + 5;  // three slices
constexpr std::uint64_t kSmall = 3000;

// Where an object is stored.
struct Place {
  std::string path;
  std::uint64_t data = 0;  // offset of its first byte

  // Offset inside the metadata of the slot that was written.
  std::uint64_t in_head(std::uint64_t length) const {
    const Location at{.slot_units = slot_units_for(8, is_packed_length(length))};
    return data - 2 * slot_size(at) + kSlotHeaderSize + 2;
  }
};

Place place_of(const Object& object) {
  return {.path = fs::read_symlink("/proc/self/fd/" + std::to_string(object.fd())).string(),
          .data = object.file_offset_of(0)};
}

void overwrite(const std::string& path, std::uint64_t offset) {
  const base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(fd.get(), "!", 1, static_cast<off_t>(offset)), 1);
}

class StoreScrubTest : public ::testing::Test {
 protected:
  StoreScrubTest() { base::configure_log({.level = base::LogLevel::Error}); }
  ~StoreScrubTest() override { base::configure_log({}); }

  // Two objects of that length, of which the first is damaged.
  void damage_one(std::uint64_t length, const std::function<void(const Place&)>& damage) {
    Place place;
    {
      auto store = open_store(folder_.path());
      const auto object = put(*store, 1, length);
      ASSERT_TRUE(object);
      place = place_of(*object);
      ASSERT_TRUE(put(*store, 2, length));
    }
    damage(place);
    auto store =
        Store::open({.drives = {{.path = folder_.path(), .size = 64 << 20}}, .background = true});
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }

  ScrubStatistics scrub() {
    EXPECT_TRUE(store_->start_scrub());
    ScrubStatistics state;
    do {
      state = store_->statistics().scrub;
    } while (state.is_running);
    return state;
  }

  void expect_the_first_is_lost(std::uint64_t slices) {
    ScrubStatistics state = scrub();
    EXPECT_EQ(state.lost, slices);
    EXPECT_EQ(state.objects, 1U);
    EXPECT_EQ(store_->statistics().lost_slices, slices);
    EXPECT_FALSE(store_->contains(key_of(1))) << "it is fetched anew";
    const auto other = store_->find(key_of(2));
    EXPECT_TRUE(other && holds_pattern(*store_, *other, 2));
    EXPECT_EQ(scrub().lost, 0U) << "told once";
  }

  const TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreScrubTest, FindsAFileThatWasDeleted) {
  damage_one(kLarge, [](const Place& place) { fs::remove(place.path); });
  expect_the_first_is_lost(3);
}

TEST_F(StoreScrubTest, FindsAFileThatWasCutOff) {
  damage_one(kLarge, [](const Place& place) { fs::resize_file(place.path, kSliceSize); });
  expect_the_first_is_lost(3);
}

TEST_F(StoreScrubTest, FindsAFlippedBitInTheHeadOfALargeObject) {
  damage_one(kLarge, [](const Place& place) { overwrite(place.path, place.in_head(kLarge)); });
  expect_the_first_is_lost(3);
}

TEST_F(StoreScrubTest, FindsAFlippedBitInTheHeadOfASmallObject) {
  damage_one(kSmall, [](const Place& place) { overwrite(place.path, place.in_head(kSmall)); });
  expect_the_first_is_lost(1);
}

TEST_F(StoreScrubTest, FindsASegmentThatWasDeleted) {
  damage_one(kSmall, [](const Place& place) { fs::remove(place.path); });
  EXPECT_EQ(scrub().lost, 2U);
  EXPECT_EQ(store_->statistics().objects, 0U);
}

TEST_F(StoreScrubTest, OfADriveThatIsGoneNothingIsForgotten) {
  damage_one(kLarge, [](const Place&) {});
  const std::string away = folder_.path() + "-away";
  fs::rename(folder_.path(), away);
  const ScrubStatistics state = scrub();
  EXPECT_EQ(state.lost, 0U);
  EXPECT_EQ(state.objects, 0U);
  EXPECT_EQ(state.skipped, 2U) << "what was not looked at is not right for that";
  EXPECT_EQ(store_->statistics().drives[0].state, DriveState::Missing);
  store_.reset();
  fs::rename(away, folder_.path());
  EXPECT_TRUE(open_store(folder_.path())->find(key_of(1)));
}

TEST_F(StoreScrubTest, WhatCannotBeReadNowIsNotCalledWrong) {
  damage_one(kLarge, [](const Place& place) {
    fs::remove(place.path);
    fs::create_symlink(place.path, place.path);  // to itself: too many levels
  });
  const ScrubStatistics state = scrub();
  EXPECT_EQ(state.lost, 0U);
  EXPECT_EQ(state.skipped, 1U);
  EXPECT_EQ(state.objects, 1U);
  EXPECT_TRUE(store_->contains(key_of(1)));
}

TEST_F(StoreScrubTest, OneThatIsAskedForDoesNotWaitForThePauseOfTheDailyOne) {
  base::ManualClock clock(base::from_unix_seconds(1'800'000'000));
  // A byte a second: the daily pass would pause for months.
  auto store = Store::open({.drives = {{.path = folder_.path(), .size = 64 << 20}},
                            .background = true,
                            .scrub_rate = 1,
                            .clock = &clock});
  ASSERT_TRUE(store);
  ASSERT_TRUE(put(**store, 1, kLarge));
  const auto is_running = [&] { return (*store)->statistics().scrub.is_running; };
  while (!is_running()) {
    clock.advance(std::chrono::minutes(11));
    std::this_thread::yield();
  }
  EXPECT_FALSE((*store)->start_scrub());
  const auto latest = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (is_running() && std::chrono::steady_clock::now() < latest) std::this_thread::yield();
  EXPECT_FALSE(is_running());
  EXPECT_EQ((*store)->statistics().scrub.bytes, kLarge);
}

TEST_F(StoreScrubTest, AScrubThatTakesLongHoldsUpNoPurges) {
  base::ManualClock clock(base::from_unix_seconds(1'800'000'000));
  // Some four objects a second.
  auto store = Store::open({.drives = {{.path = folder_.path(), .size = 64 << 20}},
                            .background = true,
                            .scrub_rate = 4 * 8192,
                            .name_of = [](std::string_view metadata) { return metadata; },
                            .clock = &clock});
  ASSERT_TRUE(store);
  for (std::uint64_t seed = 1; seed <= 600; ++seed) ASSERT_TRUE(put(**store, seed, kSmall));
  const auto scrub = [&] { return (*store)->statistics().scrub; };
  while (!scrub().is_running) {
    clock.advance(std::chrono::minutes(11));
    std::this_thread::yield();
  }
  ASSERT_TRUE((*store)->purge_prefix("object 7"));
  while ((*store)->statistics().purges > 0 && scrub().is_running) std::this_thread::yield();
  EXPECT_EQ((*store)->statistics().purges, 0U);
  EXPECT_TRUE(scrub().is_running);
}

}  // namespace
}  // namespace larder::store
