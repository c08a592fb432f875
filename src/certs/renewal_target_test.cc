#include "certs/renewal_target.h"

#include <gtest/gtest.h>

namespace larder::certs {
namespace {

using Event = Record::Event;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

CertificateFacts facts(const std::string& id, CertificateState state, int last_day) {
  CertificateFacts made;
  made.id = id;
  made.state = state;
  made.history = {{.event = Event::Imported, .at = kNow, .reason = {}},
                  {.event = state == CertificateState::Retired ? Event::Retired : Event::Activated,
                   .at = kNow + last_day * std::chrono::hours(24),
                   .reason = {}}};
  return made;
}

Inventory with(std::vector<CertificateFacts> certificates,
               std::vector<CertificateFacts> others = {}) {
  Inventory inventory;
  inventory.keys.resize(2);
  inventory.keys[0].name = "main";
  inventory.keys[0].certificates = std::move(certificates);
  inventory.keys[1].name = "other";
  inventory.keys[1].certificates = std::move(others);
  return inventory;
}

std::string current(const Inventory& inventory) {
  const RenewalTarget target = renewal_target(inventory, "main");
  return target.current == nullptr ? "" : target.current->id;
}
std::string against(const Inventory& inventory) {
  return renewal_target(inventory, "main").against;
}

TEST(RenewalTarget, IsTheOneThatIsOrWouldBeServed) {
  for (const auto state : {CertificateState::Active, CertificateState::Disabled}) {
    const auto inventory =
        with({facts("new", CertificateState::Retired, 9), facts("served", state, 1)},
             {facts("x", CertificateState::Active, 5)});
    EXPECT_EQ(current(inventory), "served");
    EXPECT_EQ(against(inventory), "");
  }
}

TEST(RenewalTarget, EarlierCertificateDoesNotStandInForOneThatWasPutAway) {
  const auto inventory = with({facts("retired", CertificateState::Retired, 9),
                               facts("earlier", CertificateState::Inactive, 8)});
  EXPECT_EQ(current(inventory), "");
  EXPECT_EQ(against(inventory), "it is retired");
}

TEST(RenewalTarget, OneThatWasPutAwayEarlierSaysNothing) {
  const auto inventory = with({facts("later", CertificateState::Inactive, 9),
                               facts("retired", CertificateState::Retired, 8)});
  EXPECT_EQ(current(inventory), "later");
  EXPECT_EQ(against(inventory), "");
}

TEST(RenewalTarget, GivesWayToAnotherKeyThatWasChosen) {
  EXPECT_EQ(against(with({facts("mine", CertificateState::Inactive, 1)},
                         {facts("x", CertificateState::Active, 5)})),
            "another certificate is in use");
  EXPECT_EQ(against(with({}, {facts("x", CertificateState::Active, 5)})), "")
      << "a key that never had a certificate gets its first";
}

bool waits(const Inventory& inventory) {
  return waits_for_certificate(renewal_target(inventory, "main"));
}

TEST(RenewalTarget, WaitsForACertificateWhileNobodyDecidedAgainstOne) {
  EXPECT_TRUE(waits({}));
  EXPECT_TRUE(waits(with({}, {facts("x", CertificateState::Active, 5)})));
  EXPECT_TRUE(waits(with({facts("lost", CertificateState::Inactive, 1)})));
  EXPECT_FALSE(waits(with({facts("served", CertificateState::Active, 1)})));
  EXPECT_FALSE(waits(with({facts("served", CertificateState::Disabled, 1)})));
  EXPECT_FALSE(waits(with({facts("retired", CertificateState::Retired, 9)})));
  EXPECT_FALSE(waits(with({facts("mine", CertificateState::Inactive, 1)},
                          {facts("x", CertificateState::Active, 5)})));
}

}  // namespace
}  // namespace larder::certs
