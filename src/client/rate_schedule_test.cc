#include "client/rate_schedule.h"

#include <gtest/gtest.h>

namespace larder::client {
namespace {

constexpr int kMonday = 0;
constexpr int kSaturday = 5;
constexpr int kSunday = 6;

RateSchedule schedule(std::initializer_list<std::string_view> texts) {
  RateSchedule rules;
  for (const std::string_view text : texts) {
    auto rule = parse_rate_rule(text);
    EXPECT_TRUE(rule) << text;
    if (rule) rules.push_back(*rule);
  }
  return rules;
}

TEST(RateSchedule, WithoutRulesThereIsNoLimit) {
  EXPECT_EQ(rate_at({}, kMonday, 0), kUnlimitedRate);
}

TEST(RateSchedule, FirstRuleThatNamesTheMomentCounts) {
  const RateSchedule rules = schedule({"mon-fri 08:00-18:00 2MB", "20MB"});
  EXPECT_EQ(rate_at(rules, kMonday, 8 * 60 - 1), 20'000'000);
  EXPECT_EQ(rate_at(rules, kMonday, 8 * 60), 2'000'000);
  EXPECT_EQ(rate_at(rules, kMonday, 18 * 60 - 1), 2'000'000);
  EXPECT_EQ(rate_at(rules, kMonday, 18 * 60), 20'000'000);
  EXPECT_EQ(rate_at(rules, kSaturday, 12 * 60), 20'000'000);
}

TEST(RateSchedule, SpanOverMidnightBelongsToTheDayOnWhichItBegins) {
  const RateSchedule rules = schedule({"sat 22:00-06:00 unlimited", "0"});
  EXPECT_EQ(rate_at(rules, kSaturday, 23 * 60), kUnlimitedRate);
  EXPECT_EQ(rate_at(rules, kSunday, 5 * 60), kUnlimitedRate);
  EXPECT_EQ(rate_at(rules, kSunday, 23 * 60), 0U);
  EXPECT_EQ(rate_at(rules, kSaturday, 5 * 60), 0U);
}

TEST(RateSchedule, TextsAreReadAndWritten) {
  for (const char* text : {"20000000", "0", "unlimited", "mon 5000", "sat-mon 00:00-12:30 70000",
                           "22:00-06:00 unlimited", "mon-fri 08:00-24:00 1000000"}) {
    const auto rule = parse_rate_rule(text);
    ASSERT_TRUE(rule) << text;
    EXPECT_EQ(to_text(*rule), text);
  }
}

TEST(RateSchedule, AnythingElseIsRefused) {
  for (const char* text : {"", "fast", "mon", "mon-fri", "08:00-18:00", "8:00-18:00 1MB",
                           "08:00-25:00 1MB", "08:60-18:00 1MB", "08:00-08:00 1MB", "mon,tue 1MB",
                           "1MB 2MB", "1MB mon", "montag 1MB", "24:00-06:00 1MB", "-5"}) {
    EXPECT_FALSE(parse_rate_rule(text)) << text;
  }
}

}  // namespace
}  // namespace larder::client
