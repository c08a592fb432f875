#include "client/rate_limit.h"

#include <gtest/gtest.h>

namespace larder::client {
namespace {

using std::chrono::milliseconds;

constexpr base::WallTime kNow{std::chrono::hours(500'000)};

std::shared_ptr<const RateSchedule> always(std::uint64_t rate) {
  return std::make_shared<const RateSchedule>(
      RateSchedule{{.days = 0x7f, .from = 0, .to = kMinutesOfDay, .bytes_per_second = rate}});
}

std::uint64_t passed_in(RateLimit& limit, std::chrono::seconds duration) {
  std::uint64_t passed = 0;
  const base::SteadyTime begin{std::chrono::hours(1)};
  for (base::SteadyTime now = begin; now < begin + duration; now += milliseconds(1)) {
    while (limit.has_room(now, kNow)) {
      limit.spend(16 * 1024);
      passed += 16 * 1024;
    }
  }
  return passed;
}

TEST(RateLimit, LetsThroughWhatItsRateSays) {
  RateLimit limit;
  limit.set(always(1'000'000));
  EXPECT_NEAR(static_cast<double>(passed_in(limit, std::chrono::seconds(20))), 20e6, 0.2e6);
}

TEST(RateLimit, NothingPassesAtZero) {
  RateLimit limit;
  limit.set(always(0));
  passed_in(limit, std::chrono::seconds(1));  // what the bucket may have held
  EXPECT_EQ(passed_in(limit, std::chrono::seconds(20)), 0U);
  EXPECT_FALSE(limit.admit(false, kNow));
}

TEST(RateLimit, AdmitsAsManyFillsAsItCanFeed) {
  RateLimit limit;
  limit.set(always(4 * RateLimit::kFeed + 1));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(limit.admit(false, kNow));
  EXPECT_FALSE(limit.admit(false, kNow));
  EXPECT_TRUE(limit.admit(true, kNow)) << "promised already";
  limit.leave();
  limit.leave();
  EXPECT_TRUE(limit.admit(false, kNow));
}

TEST(RateLimit, SlowLineFeedsOne) {
  RateLimit limit;
  limit.set(always(10'000));
  EXPECT_TRUE(limit.admit(false, kNow));
  EXPECT_FALSE(limit.admit(false, kNow));
}

TEST(RateLimit, NewScheduleCountsAtOnce) {
  RateLimit limit;
  EXPECT_EQ(limit.rate(kNow), kUnlimitedRate);
  limit.set(always(7));
  EXPECT_EQ(limit.rate(kNow), 7U);
}

}  // namespace
}  // namespace larder::client
