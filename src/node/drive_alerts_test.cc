#include "node/drive_alerts.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using store::DriveState;
using store::DriveStatistics;

const std::string kPath = "/mnt/a b";

DriveStatistics drive(DriveState state) {
  DriveStatistics statistics;
  statistics.path = kPath;
  statistics.size = 100 << 20;
  statistics.limit = 60 << 20;
  statistics.state = state;
  if (state == DriveState::Failing) statistics.write_error = "Input/output error";
  return statistics;
}

class DriveAlertsTest : public ::testing::Test {
 protected:
  // The kinds of what is told when the drive is seen so at that time.
  std::vector<std::string> look(const DriveStatistics& statistics, base::SteadyTime at) {
    std::vector<std::string> kinds;
    for (const alerts::News& each : alerts_.look({&statistics, 1}, at)) {
      EXPECT_EQ(each.about.at("drive"), kPath);
      EXPECT_NE(each.text.find(kPath), std::string::npos);
      kinds.push_back(each.kind);
    }
    return kinds;
  }
  using Kinds = std::vector<std::string>;

  const base::SteadyTime start_{hours(1000)};
  DriveAlerts alerts_{{}, start_};
};

TEST_F(DriveAlertsTest, EachStateIsToldOnceAndItsEndOnce) {
  const std::pair<DriveState, std::string> states[] = {{DriveState::Missing, "drive-missing"},
                                                       {DriveState::Failing, "drive-failing"},
                                                       {DriveState::Short, "drive-short"}};
  base::SteadyTime now = start_;
  for (const auto& [state, kind] : states) {
    EXPECT_EQ(look(drive(DriveState::Good), now), Kinds{});
    EXPECT_EQ(look(drive(state), now), Kinds{kind});
    EXPECT_EQ(look(drive(state), now + hours(2)), Kinds{});
    EXPECT_EQ(alerts_.sentences().size(), 1U);
    EXPECT_EQ(look(drive(DriveState::Good), now + hours(2) + seconds(9)), Kinds{});
    EXPECT_EQ(look(drive(DriveState::Good), now + hours(2) + seconds(11)),
              Kinds{"drive-recovered"});
    EXPECT_TRUE(alerts_.sentences().empty());
    now += hours(3);
  }
}

TEST_F(DriveAlertsTest, TheReasonIsSaid) {
  const DriveStatistics failing = drive(DriveState::Failing);
  const auto news = alerts_.look({&failing, 1}, start_);
  ASSERT_EQ(news.size(), 1U);
  EXPECT_NE(news[0].text.find("Input/output error"), std::string::npos) << news[0].text;
}

TEST_F(DriveAlertsTest, ErrorsThatAreCountedEndAfterAnHourWithoutNewOnes) {
  DriveStatistics one = drive(DriveState::Good);
  one.read_errors = 1;
  EXPECT_EQ(look(one, start_), Kinds{"drive-read-errors"});
  one.lost_slices = 3;
  EXPECT_EQ(look(one, start_ + minutes(1)), Kinds{"drive-damaged"});
  one.read_errors = 2;
  EXPECT_EQ(look(one, start_ + minutes(30)), Kinds{});
  EXPECT_EQ(look(one, start_ + minutes(60)), Kinds{});
  EXPECT_EQ(look(one, start_ + minutes(61)), Kinds{"drive-recovered"});
  EXPECT_EQ(look(one, start_ + minutes(89)), Kinds{});
  EXPECT_EQ(look(one, start_ + minutes(90)), Kinds{"drive-recovered"});
}

TEST_F(DriveAlertsTest, DriveFullOfPinsIsToldUntilItTookWhatIsNewForAnHour) {
  DriveStatistics one = drive(DriveState::Good);
  EXPECT_EQ(look(one, start_), Kinds{});
  one.not_evictable = 7;
  EXPECT_EQ(look(one, start_ + minutes(1)), Kinds{"drive-pinned"});
  one.not_evictable = 9;
  EXPECT_EQ(look(one, start_ + minutes(2)), Kinds{});
  EXPECT_EQ(look(one, start_ + minutes(61)), Kinds{});
  EXPECT_EQ(look(one, start_ + minutes(62)), Kinds{"drive-recovered"});
}

TEST_F(DriveAlertsTest, ADriveThatComesAndGoesMakesNoStorm) {
  std::size_t told = 0;
  for (int second = 0; second < 24 * 3600; second += 2) {
    // Half a minute bad, a minute well.
    const auto state = second % 90 < 30 ? DriveState::Failing : DriveState::Good;
    told += look(drive(state), start_ + seconds(second)).size();
  }
  EXPECT_GE(told, 3U);
  EXPECT_LE(told, 7U);
}

TEST_F(DriveAlertsTest, TheWaitForTheEndGrowsAndIsBounded) {
  EXPECT_EQ(well_before_told(DriveTrouble::Failing, 0), seconds(10));
  EXPECT_EQ(well_before_told(DriveTrouble::Failing, 1), seconds(40));
  EXPECT_EQ(well_before_told(DriveTrouble::Failing, 1000), hours(1));
}

TEST_F(DriveAlertsTest, ARestartNeitherRepeatsNorForgets) {
  EXPECT_EQ(look(drive(DriveState::Failing), start_), Kinds{"drive-failing"});
  const alerts::Told told = alerts_.told();
  alerts_ = DriveAlerts(told, start_ + hours(1));
  EXPECT_EQ(alerts_.told(), told);
  EXPECT_EQ(alerts_.sentences().size(), 1U);
  EXPECT_EQ(look(drive(DriveState::Failing), start_ + hours(1)), Kinds{});
  EXPECT_EQ(look(drive(DriveState::Good), start_ + hours(1) + minutes(1)),
            Kinds{"drive-recovered"});
  EXPECT_TRUE(alerts_.told().empty());
}

TEST_F(DriveAlertsTest, AMissingDriveIsNothingElseAndOneThatWasTakenOutIsForgotten) {
  EXPECT_EQ(look(drive(DriveState::Failing), start_), Kinds{"drive-failing"});
  EXPECT_EQ(look(drive(DriveState::Missing), start_ + seconds(2)), Kinds{"drive-missing"});
  EXPECT_EQ(alerts_.told().size(), 1U);
  EXPECT_TRUE(alerts_.look({}, start_ + hours(1)).empty());
  EXPECT_TRUE(alerts_.told().empty());
}

TEST_F(DriveAlertsTest, WhatIsFullIsNotWellBecauseItFails) {
  EXPECT_EQ(look(drive(DriveState::Short), start_), Kinds{"drive-short"});
  EXPECT_EQ(look(drive(DriveState::Failing), start_ + hours(1)), Kinds{"drive-failing"});
  EXPECT_EQ(alerts_.told().size(), 2U);
}

TEST_F(DriveAlertsTest, WordsOfAnotherVersionAreLeftOut) {
  alerts_ =
      DriveAlerts({{"drive-melting /mnt/a", ""}, {"nonsense", ""}, {"drive-short", ""}}, start_);
  EXPECT_TRUE(alerts_.told().empty());
}

}  // namespace
}  // namespace larder::node
