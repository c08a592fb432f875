#include "certs/retention.h"

#include <gtest/gtest.h>

namespace larder::certs {
namespace {

base::WallTime day(const char* text) {
  return base::parse_rfc3339(std::string(text) + "T00:00:00Z").value();
}

struct Happened {
  Record::Event event;
  const char* on;
};

CertificateFacts facts(const char* not_after, std::initializer_list<Happened> history,
                       CertificateState state = CertificateState::Inactive) {
  CertificateFacts result;
  result.id = not_after;
  result.state = state;
  result.not_after = day(not_after);
  for (const Happened& each : history) result.history.push_back({each.event, day(each.on), ""});
  return result;
}

using enum Record::Event;

TEST(KeptUntil, EighteenMonthsAfterTheLaterOfEndAndDeactivation) {
  EXPECT_EQ(
      kept_until(facts("2026-06-30", {{Activated, "2026-01-01"}, {Deactivated, "2026-03-01"}})),
      day("2027-12-30"));
  EXPECT_EQ(
      kept_until(facts("2026-01-15", {{Activated, "2025-01-01"}, {Deactivated, "2026-03-01"}})),
      day("2027-09-01"));
}

TEST(KeptUntil, EndsOfMonthsStayInTheMonth) {
  EXPECT_EQ(kept_until(facts("2026-08-31", {{Deactivated, "2026-01-01"}})), day("2028-02-29"));
  EXPECT_EQ(kept_until(facts("2025-08-31", {{Deactivated, "2025-01-01"}})), day("2027-02-28"));
}

TEST(KeptUntil, RevocationCountsAsTheEnd) {
  EXPECT_EQ(kept_until(facts("2028-01-01", {{Deactivated, "2026-01-01"}, {Revoked, "2026-02-01"}})),
            day("2027-08-01"));
  EXPECT_EQ(kept_until(facts("2026-01-01", {{Deactivated, "2026-01-01"}, {Revoked, "2026-05-01"}})),
            day("2027-07-01"));
}

TEST(KeptUntil, TheLastDeactivationCounts) {
  EXPECT_EQ(kept_until(facts("2026-01-01", {{Deactivated, "2025-01-01"},
                                            {Activated, "2025-02-01"},
                                            {Deactivated, "2026-06-01"},
                                            {Retired, "2026-09-01"}})),
            day("2027-12-01"));
  EXPECT_EQ(kept_until(facts("2026-01-01", {{Imported, "2026-02-01"}})), day("2027-08-01"));
}

TEST(KeptUntil, NothingThatIsServedOrUnknown) {
  EXPECT_EQ(kept_until(facts("2020-01-01", {{Activated, "2019-01-01"}}, CertificateState::Active)),
            std::nullopt);
  EXPECT_EQ(kept_until(facts("2020-01-01", {})), std::nullopt);
}

TEST(KeptUntil, ValidOneThatIsOnlyDisabledIsNeverDue) {
  const auto disabled =
      facts("2040-01-01", {{Activated, "2026-01-01"}, {Deactivated, "2026-02-01"}},
            CertificateState::Disabled);
  EXPECT_EQ(kept_until(disabled), day("2041-07-01"));
  EXPECT_GT(kept_until(disabled), disabled.not_after);
}

TEST(PlanPurges, KeyGoesWithItsLastCertificate) {
  Inventory inventory;
  inventory.keys.resize(3);
  inventory.keys[0].name = "all";
  inventory.keys[0].certificates = {facts("2026-02-01", {{Deactivated, "2026-01-01"}}),
                                    facts("2026-01-01", {{Deactivated, "2026-01-01"}})};
  inventory.keys[1].name = "some";
  inventory.keys[1].certificates = {facts("2027-01-01", {{Deactivated, "2026-01-01"}}),
                                    facts("2026-01-01", {{Deactivated, "2026-01-01"}})};
  inventory.keys[2].name = "waits for its certificate";
  auto plan = plan_purges(inventory, day("2027-09-01"));
  ASSERT_EQ(plan.size(), 3U);
  EXPECT_FALSE(plan[0].with_key);
  EXPECT_TRUE(plan[1].with_key);
  EXPECT_EQ(plan[2].key_name, "some");
  EXPECT_FALSE(plan[2].with_key);
  EXPECT_TRUE(plan_purges(inventory, day("2027-06-30")).empty());
  EXPECT_EQ(plan_purges(inventory, day("2027-07-01")).size(), 2U);
  inventory.keys[0].has_damage = true;
  plan = plan_purges(inventory, day("2027-09-01"));
  EXPECT_FALSE(plan[1].with_key);
}

}  // namespace
}  // namespace larder::certs
