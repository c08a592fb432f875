#include "node/role_certificate.h"

#include <gtest/gtest.h>

#include "certs/renewal.h"
#include "crypto/issue.h"
#include "node/back_off.h"

namespace larder::node {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1'795'300'000);
constexpr std::chrono::hours kDay{24};

crypto::Certificate certificate_for(const std::vector<std::string>& names) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  crypto::CertificateTemplate about;
  about.names.dns = names;
  about.not_before = kNow;
  about.not_after = kNow + 90 * kDay;
  about.server_auth = true;
  return crypto::issue_self_signed(about, key).value();
}

SiteView view_for(const std::vector<std::string>& names) {
  SiteView view;
  view.names = names;
  return view;
}

TEST(RoleDecision, FollowsViewCertificateAndTime) {
  const auto certificate = certificate_for({"a.example.org"});
  auto view = view_for({"a.example.org"});
  EXPECT_EQ(decide_role(nullptr, &certificate, kNow).action, RoleAction::Wait);
  EXPECT_EQ(decide_role(&view, nullptr, kNow).action, RoleAction::Request);
  EXPECT_EQ(decide_role(&view, &certificate, kNow).action, RoleAction::Keep);
  EXPECT_EQ(decide_role(&view, &certificate, kNow + 50 * kDay).action, RoleAction::Keep);
  EXPECT_EQ(decide_role(&view, &certificate, kNow + 60 * kDay).action, RoleAction::Request);
  EXPECT_EQ(decide_role(&view, &certificate, kNow + 91 * kDay).action, RoleAction::Request);
  const auto other = view_for({"b.example.org"});
  EXPECT_EQ(decide_role(&other, &certificate, kNow).action, RoleAction::Request);
  const auto nameless = view_for({});
  EXPECT_EQ(decide_role(&nameless, nullptr, kNow).action, RoleAction::Wait);
  view.mode = SiteMode::HttpsOnly;
  EXPECT_EQ(decide_role(&view, &certificate, kNow).action, RoleAction::Withdraw);
}

TEST(RoleDecision, ServesOnlyInEnhancedModeAndInTime) {
  const auto certificate = certificate_for({"a.example.org"});
  auto view = view_for({"a.example.org"});
  EXPECT_TRUE(may_serve(&view, &certificate, kNow));
  EXPECT_FALSE(may_serve(nullptr, &certificate, kNow));
  EXPECT_FALSE(may_serve(&view, nullptr, kNow));
  EXPECT_FALSE(may_serve(&view, &certificate, kNow + 90 * kDay));
  view.mode = SiteMode::HttpsOnly;
  EXPECT_FALSE(may_serve(&view, &certificate, kNow));
}

TEST(RoleDecision, RenewsBetweenSixtyPercentAndTwoThirdsOfTheLife) {
  for (int i = 0; i < 8; ++i) {
    const auto certificate = certificate_for({"a.example.org"});
    const auto at = certs::lifetime_of(certificate).renewal_time() - kNow;
    EXPECT_LE(at, 60 * kDay);
    EXPECT_GE(at, 60 * kDay - 90 * kDay / 20);
  }
}

TEST(BackOff, GrowsFromOneSecondToThirtyWithJitter) {
  using std::chrono::milliseconds;
  EXPECT_EQ(back_off(1, 0), milliseconds(1000));
  EXPECT_EQ(back_off(2, 0), milliseconds(2000));
  EXPECT_EQ(back_off(5, 0), milliseconds(16'000));
  EXPECT_EQ(back_off(6, 0), milliseconds(30'000));
  EXPECT_EQ(back_off(4'000'000'000U, 0), milliseconds(30'000));
  for (std::uint32_t random = 0; random < 5000; random += 37) {
    EXPECT_GT(back_off(1, random), milliseconds(749));
    EXPECT_LE(back_off(1, random), milliseconds(1000));
  }
}

}  // namespace
}  // namespace larder::node
