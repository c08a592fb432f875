#include "cache/hit_for_miss.h"

#include <gtest/gtest.h>

namespace larder::cache {
namespace {

using Of = HitForMiss::Of;
using std::chrono::seconds;

constexpr store::Key kKey{1, 2};
constexpr base::SteadyTime kStart{std::chrono::hours(1)};

TEST(HitForMiss, EndsByItself) {
  HitForMiss keys;
  EXPECT_FALSE(keys.covers(kKey, false, kStart));
  keys.note(kKey, Of::All, kStart);
  EXPECT_TRUE(keys.covers(kKey, false, kStart + seconds(9)));
  EXPECT_FALSE(keys.covers(kKey, false, kStart + seconds(10)));
  EXPECT_FALSE(keys.covers({3, 4}, false, kStart));
}

TEST(HitForMiss, LastsAsLongAsSuchAnswersCome) {
  HitForMiss keys;
  for (int i = 0; i < 5; ++i) keys.note(kKey, Of::All, kStart + seconds(6 * i));
  EXPECT_TRUE(keys.covers(kKey, false, kStart + seconds(33)));
}

TEST(HitForMiss, AnswerThatMayBeSharedEndsIt) {
  HitForMiss keys;
  keys.note(kKey, Of::All, kStart);
  keys.forget(kKey);
  EXPECT_FALSE(keys.covers(kKey, false, kStart));
  keys.forget(kKey);
}

TEST(HitForMiss, WholeOfWhatCannotBePutTogetherIsShared) {
  HitForMiss keys;
  keys.note(kKey, Of::Ranges, kStart);
  EXPECT_TRUE(keys.covers(kKey, true, kStart));
  EXPECT_FALSE(keys.covers(kKey, false, kStart));
}

TEST(HitForMiss, PartDoesNotUndoWhatTheWholeSaid) {
  HitForMiss keys;
  keys.note(kKey, Of::Ranges, kStart);
  keys.note(kKey, Of::All, kStart);
  keys.note(kKey, Of::Ranges, kStart + seconds(1));
  EXPECT_TRUE(keys.covers(kKey, false, kStart + seconds(9)));
  EXPECT_FALSE(keys.covers(kKey, false, kStart + seconds(10))) << "nor does it prolong that";
  EXPECT_TRUE(keys.covers(kKey, true, kStart + seconds(10)));
  EXPECT_FALSE(keys.covers(kKey, true, kStart + seconds(11)));
  keys.note(kKey, Of::Ranges, kStart + seconds(20));
  EXPECT_FALSE(keys.covers(kKey, false, kStart + seconds(20))) << "it had ended";
}

TEST(HitForMiss, RemembersABoundedNumberOfKeys) {
  HitForMiss keys;
  keys.note(kKey, Of::All, kStart);
  for (std::uint64_t i = 0; i < HitForMiss::kMostKeys; ++i) keys.note({i, 77}, Of::All, kStart);
  EXPECT_FALSE(keys.covers(kKey, false, kStart));
  EXPECT_TRUE(keys.covers({0, 77}, false, kStart));
}

}  // namespace
}  // namespace larder::cache
