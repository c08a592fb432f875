#include "node/delivery_pace.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

using std::chrono::seconds;

constexpr base::SteadyTime kStart{seconds(1000)};

TEST(DeliveryPace, WaitsForTheNextByteAndNotForEachPart) {
  DeliveryPace pace;
  pace.begin(kStart, false);
  EXPECT_EQ(pace.deadline(), kStart + seconds(18));
  EXPECT_TRUE(pace.sent(1, kStart + seconds(10)));
  EXPECT_EQ(pace.deadline(), kStart + seconds(28));
}

TEST(DeliveryPace, EndsBeforeAClientThatCountsGivesUp) {
  for (const std::uint64_t rate : {1000U, 3900U, 4100U, 6000U}) {
    DeliveryPace counted;
    DeliveryPace patient;
    counted.begin(kStart, true);
    patient.begin(kStart, false);
    bool good = true;
    for (int second = 1; second <= 20; ++second) {
      good = counted.sent(rate, kStart + seconds(second)) && good;
      EXPECT_TRUE(patient.sent(rate, kStart + seconds(second)));
    }
    EXPECT_EQ(good, rate > 4000) << rate;
  }
}

TEST(DeliveryPace, SlowStretchIsNoticedAfterAFastOne) {
  DeliveryPace pace;
  pace.begin(kStart, true);
  EXPECT_TRUE(pace.sent(1 << 30, kStart + seconds(11)));
  bool good = true;
  // The fast stretch counts for one window only.
  for (int second = 12; second <= 30; ++second)
    good = pace.sent(100, kStart + seconds(second)) && good;
  EXPECT_FALSE(good);
}

}  // namespace
}  // namespace larder::node
