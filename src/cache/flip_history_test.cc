#include "cache/flip_history.h"

#include <gtest/gtest.h>

namespace larder::cache {
namespace {

using std::chrono::minutes;

constexpr store::Key kKey{1, 2};
constexpr base::SteadyTime kStart{std::chrono::hours(1)};

TEST(FlipHistory, ThirdChangeWithinTenMinutesFlips) {
  FlipHistory history;
  EXPECT_FALSE(history.record(kKey, kStart));
  EXPECT_FALSE(history.record(kKey, kStart + minutes(3)));
  EXPECT_FALSE(history.is_flipping(kKey, kStart + minutes(3)));
  EXPECT_TRUE(history.record(kKey, kStart + minutes(9)));
  EXPECT_TRUE(history.is_flipping(kKey, kStart + minutes(9)));
  EXPECT_FALSE(history.record(kKey, kStart + minutes(9))) << "told once";
}

TEST(FlipHistory, ChangesFarApartDoNotFlip) {
  FlipHistory history;
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(history.record(kKey, kStart + minutes(6 * i)));
    EXPECT_FALSE(history.is_flipping(kKey, kStart + minutes(6 * i)));
  }
}

TEST(FlipHistory, EndsTenMinutesAfterTheFirstOfThem) {
  FlipHistory history;
  for (int i = 0; i < 3; ++i) history.record(kKey, kStart);
  EXPECT_TRUE(history.is_flipping(kKey, kStart + minutes(9)));
  EXPECT_FALSE(history.is_flipping(kKey, kStart + minutes(10)));
}

TEST(FlipHistory, RemembersABoundedNumberOfObjects) {
  FlipHistory history;
  for (int i = 0; i < 3; ++i) history.record(kKey, kStart);
  for (std::uint64_t i = 0; i < FlipHistory::kMostObjects; ++i) history.record({i, 77}, kStart);
  EXPECT_FALSE(history.is_flipping(kKey, kStart));
}

}  // namespace
}  // namespace larder::cache
