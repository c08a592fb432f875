#include "certs/expiry_alerts.h"

#include <gtest/gtest.h>

namespace larder::certs {
namespace {

using std::chrono::days;
using std::chrono::seconds;

const base::WallTime kEnd = base::from_unix_seconds(1'800'000'000);
const std::vector<WatchedCertificate> kOne{{"a", kEnd}};

TEST(ExpiryAlerts, EachStageComesOnceInTurn) {
  ToldStages told;
  std::vector<int> heard;
  for (base::WallTime now = kEnd - days(40); now < kEnd + days(5); now += std::chrono::hours(1)) {
    for (const DueAlert& alert : due_alerts(kOne, told, now)) heard.push_back(alert.days);
    told = told_stages(kOne, now);
  }
  EXPECT_EQ(heard, (std::vector{30, 14, 7, 1, 0}));
}

TEST(ExpiryAlerts, StagesBeginAtTheirSecond) {
  EXPECT_EQ(alert_stage(kEnd, kEnd - days(30) - seconds(1)), std::nullopt);
  EXPECT_EQ(alert_stage(kEnd, kEnd - days(30)), 30);
  EXPECT_EQ(alert_stage(kEnd, kEnd - days(1)), 1);
  EXPECT_EQ(alert_stage(kEnd, kEnd - seconds(1)), 1);
  EXPECT_EQ(alert_stage(kEnd, kEnd), 0);
}

TEST(ExpiryAlerts, StagesThatPassedUnnoticedAreNotToldLater) {
  EXPECT_EQ(due_alerts(kOne, {}, kEnd - days(3)), (std::vector{DueAlert{"a", 7}}));
  EXPECT_TRUE(due_alerts(kOne, {{"a", 7}}, kEnd - days(3)).empty());
  EXPECT_EQ(due_alerts(kOne, {{"a", 30}}, kEnd + days(90)), (std::vector{DueAlert{"a", 0}}));
}

TEST(ExpiryAlerts, AClockThatWasWrongSilencesNothing) {
  const ToldStages wrong = told_stages(kOne, kEnd + days(1));
  const ToldStages mended = told_stages(kOne, kEnd - days(60));
  EXPECT_EQ(wrong.at("a"), 0);
  EXPECT_TRUE(mended.empty());
  EXPECT_EQ(due_alerts(kOne, mended, kEnd - days(30)), (std::vector{DueAlert{"a", 30}}));
}

TEST(ExpiryAlerts, EachCertificateHasItsOwn) {
  const std::vector<WatchedCertificate> two{{"a", kEnd}, {"b", kEnd + days(20)}};
  EXPECT_EQ(due_alerts(two, {{"a", 14}}, kEnd - days(10)), (std::vector{DueAlert{"b", 30}}));
}

}  // namespace
}  // namespace larder::certs
