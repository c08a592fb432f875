#include "store/room.h"

#include <gtest/gtest.h>

namespace larder::store {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kGiB = 1 << 30;
constexpr std::int64_t kSecond = 1'000'000;

TEST(Room, ASizeThatTheFileSystemHasIsTheLimit) {
  Room room(10 * kGiB, false);
  room.measure({.total = 64 * kGiB, .free = 12 * kGiB}, 0, 0);
  EXPECT_EQ(room.limit(), 10 * kGiB);
  EXPECT_FALSE(room.is_short());
}

TEST(Room, ALargerOneIsWhatIsHeldAndFreeWithoutTheReserve) {
  Room room(10 * kGiB, false);
  room.measure({.total = 640 * kMiB, .free = 100 * kMiB}, 200 * kMiB, 0);
  EXPECT_EQ(room.limit(), 290 * kMiB);
  EXPECT_TRUE(room.is_short());
}

TEST(Room, NothingIsLeftWhenTheReserveIsGone) {
  Room room(kGiB, false);
  room.measure({.total = 640 * kMiB, .free = 0}, 5 * kMiB, 0);
  EXPECT_EQ(room.limit(), 0U);
}

TEST(Room, WhatOthersTakeIsBelievedTwiceAMinute) {
  Room room(kGiB, false);
  room.measure({.total = 640 * kMiB, .free = 410 * kMiB}, 0, 0);
  ASSERT_EQ(room.limit(), 400 * kMiB);
  room.measure({.total = 640 * kMiB, .free = 310 * kMiB}, 0, kSecond);
  EXPECT_EQ(room.limit(), 300 * kMiB);
  // What was freed meanwhile is not shown yet: it looks as if it had been taken.
  room.measure({.total = 640 * kMiB, .free = 210 * kMiB}, 0, 2 * kSecond);
  EXPECT_EQ(room.limit(), 300 * kMiB);
  room.measure({.total = 640 * kMiB, .free = 210 * kMiB}, 0, 32 * kSecond);
  EXPECT_EQ(room.limit(), 200 * kMiB);
}

TEST(Room, ItGrowsAgainAndSaysSoOnlyWhenThereIsClearlyRoom) {
  Room room(kGiB, false);
  room.measure({.total = 64 * kGiB, .free = kGiB}, 0, 0);
  ASSERT_TRUE(room.is_short());
  ASSERT_EQ(room.limit(), 0U);
  room.measure({.total = 64 * kGiB, .free = 2 * kGiB}, 0, kSecond);
  EXPECT_EQ(room.limit(), kGiB);
  EXPECT_TRUE(room.is_short()) << "it would say so again with the next megabyte";
  room.measure({.total = 64 * kGiB, .free = 2 * kGiB + 16 * kMiB}, 0, 2 * kSecond);
  EXPECT_FALSE(room.is_short());
}

TEST(Room, AWriteThatFoundNoSpaceIsBelievedWhateverIsFree) {
  Room room(kGiB, false);
  room.measure({.total = 64 * kGiB, .free = 32 * kGiB}, 0, 0);
  room.met_full(100 * kMiB, kSecond);
  EXPECT_EQ(room.limit(), 98 * kMiB);
  EXPECT_TRUE(room.is_short());
  room.met_full(98 * kMiB, kSecond + 1000);
  EXPECT_EQ(room.limit(), 98 * kMiB) << "many writes at once count as one";
  room.measure({.total = 64 * kGiB, .free = 32 * kGiB}, 98 * kMiB, 20 * kSecond);
  EXPECT_EQ(room.limit(), 98 * kMiB) << "a quota is not to be tried each second";
  room.measure({.total = 64 * kGiB, .free = 32 * kGiB}, 98 * kMiB, 32 * kSecond);
  EXPECT_EQ(room.limit(), kGiB);
  room.met_full(kMiB, 40 * kSecond);
  EXPECT_EQ(room.limit(), 0U);
}

TEST(Room, ADriveThatLeavesHalfIsNeverCalledShort) {
  Room room(100 * kGiB, true);
  room.measure({.total = 64 * kGiB, .free = 30 * kGiB}, 10 * kGiB, 0);
  EXPECT_EQ(room.limit(), 20 * kGiB);
  EXPECT_FALSE(room.is_short());
}

}  // namespace
}  // namespace larder::store
