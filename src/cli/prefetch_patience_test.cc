#include "cli/prefetch_patience.h"

#include <gtest/gtest.h>

namespace larder::cli {
namespace {

using std::chrono::seconds;

const base::SteadyTime kStart{seconds(1000)};
constexpr PrefetchRefusal kBusy{};
constexpr PrefetchRefusal kTrouble{.is_of_origin = true};

TEST(PrefetchPatience, WaitsLongerEachTime) {
  PrefetchPatience patience;
  for (const int wait : {1, 2, 4, 4}) {
    EXPECT_EQ(patience.next(kBusy, kStart, kStart), seconds(wait));
  }
}

TEST(PrefetchPatience, ABusyNodeIsAskedOnWhileAnythingComes) {
  PrefetchPatience patience;
  base::SteadyTime now = kStart;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(patience.next(kBusy, now, now - seconds(59)));
    now += seconds(4);
  }
  EXPECT_FALSE(patience.next(kBusy, now, now - seconds(60)));
}

TEST(PrefetchPatience, AStandstillEndsItAfterSomeAttempts) {
  PrefetchPatience patience;
  for (int i = 1; i < PrefetchPatience::kAttempts; ++i) {
    EXPECT_TRUE(patience.next(kBusy, kStart + seconds(600), kStart));
  }
  EXPECT_FALSE(patience.next(kBusy, kStart + seconds(600), kStart));
}

TEST(PrefetchPatience, AnOriginInTroubleIsAskedAFewTimesWhateverElseComes) {
  PrefetchPatience patience;
  for (int i = 1; i < PrefetchPatience::kAttempts; ++i) {
    EXPECT_TRUE(patience.next(kTrouble, kStart, kStart));
  }
  EXPECT_FALSE(patience.next(kTrouble, kStart, kStart));
}

TEST(PrefetchPatience, RetryAfterIsHonoured) {
  PrefetchPatience patience;
  EXPECT_EQ(patience.next({.is_of_origin = true, .retry_after = seconds(7)}, kStart, kStart),
            seconds(7));
  EXPECT_EQ(patience.next({.is_of_origin = true, .retry_after = seconds(0)}, kStart, kStart),
            seconds(2));
  EXPECT_EQ(patience.next({.is_of_origin = true, .retry_after = seconds(86400)}, kStart, kStart),
            PrefetchPatience::kLongestRetryAfter);
}

}  // namespace
}  // namespace larder::cli
