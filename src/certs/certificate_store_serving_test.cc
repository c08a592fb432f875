#include <filesystem>

#include "certs/renewal_target.h"
#include "certs/testing.h"

namespace larder::certs {
namespace {

using base::ErrorCode;

TEST_F(Store, RenewalReplacesAndTheRecordsSayWhenAndWhy) {
  const std::string request = make_request();
  const std::string first = chain(request);
  const auto first_id = open().import_certificate(first, {}, kNow)->id;
  const auto second_id = open().import_certificate(chain(request), {}, kNow + 10 * kDay)->id;
  EXPECT_NE(first_id, second_id);
  const auto old = open().show(first_id.substr(0, 8)).value();
  std::string thumbprint = old.sha1;  // as consoles show it
  for (char& c : thumbprint) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  thumbprint.insert(2, ":");
  EXPECT_EQ(open().show(thumbprint)->id, first_id);
  EXPECT_EQ(open().show(thumbprint.substr(0, 7)).error().code, base::ErrorCode::NotFound);
  EXPECT_EQ(old.state, CertificateState::Inactive);
  ASSERT_EQ(old.history.size(), 3U);
  EXPECT_EQ(old.history[1].event, Record::Event::Activated);
  EXPECT_EQ(old.history[2].event, Record::Event::Deactivated);
  EXPECT_EQ(old.history[2].at, kNow + 10 * kDay);
  EXPECT_SAYS(old.history[2].reason, second_id.substr(0, 16));
  EXPECT_EQ(open().show(second_id)->state, CertificateState::Active);
  // Going back is importing the earlier one again.
  ASSERT_TRUE(open().import_certificate(first, {}, kNow + 11 * kDay));
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, first_id);
  EXPECT_EQ(open().show(first_id)->history.back().event, Record::Event::Activated);
}

TEST_F(Store, RsaAndEcAreServedSideBySideAndANewKeyFollowsTheOld) {
  const auto import = [&](const std::string& name, crypto::KeyAlgorithm algorithm, int day) {
    const std::string request = make_request(name, algorithm);
    return open().import_certificate(chain(request), {}, kNow + day * kDay)->id;
  };
  const auto served = [&] {
    std::vector<std::string> names;
    for (const auto& one : open().load_active()->certificates) names.push_back(one.choice.key_name);
    return names;
  };
  using Names = std::vector<std::string>;
  const auto ec = import("ec", crypto::KeyAlgorithm::EcP256, 0);
  import("rsa", crypto::KeyAlgorithm::Rsa2048, 1);
  EXPECT_EQ(served(), (Names{"rsa", "ec"}));
  EXPECT_EQ(open().show(ec)->state, CertificateState::Active);
  import("ec2", crypto::KeyAlgorithm::EcP384, 2);
  EXPECT_EQ(served(), (Names{"ec2", "rsa"}));
  EXPECT_EQ(open().show(ec)->state, CertificateState::Inactive);
  ASSERT_TRUE(open().retire(open().load_active()->certificates[0].choice.certificate_id, {}, kNow));
  EXPECT_EQ(served(), Names{"rsa"});
  ASSERT_TRUE(open().rollback("", kNow + 3 * kDay)->report.passed());
  EXPECT_EQ(served(), (Names{"ec", "rsa"}));
}

TEST_F(Store, DamagedNeighbourDoesNotHoldUpASwap) {
  const auto ec = open().import_certificate(chain(make_request("ec")), {}, kNow)->id;
  ASSERT_TRUE(base::write_file_atomically(settings_.folder + "/ec/" + ec + ".crt", "junk", 0640));
  const auto rsa = open().import_certificate(
      chain(make_request("rsa", crypto::KeyAlgorithm::Rsa2048)), {}, kNow);
  ASSERT_TRUE(rsa) << rsa.error().message;
  const auto state = open().load_active().value();
  ASSERT_EQ(state.certificates.size(), 1U);
  EXPECT_EQ(state.certificates[0].choice.key_name, "rsa");
  ASSERT_EQ(state.damaged.size(), 1U);
  EXPECT_EQ(state.damaged[0].choice.key_name, "ec");
}

TEST_F(Store, RollbackGoesBackAndForthAndChecksAnew) {
  EXPECT_EQ(open().rollback("", kNow).error().code, ErrorCode::FailedPrecondition);
  const std::string request = make_request();
  const auto first = open().import_certificate(chain(request), {}, kNow)->id;
  const auto second = open().import_certificate(chain(request), {}, kNow + kDay)->id;
  const auto active = [&] {
    return open().load_active()->certificates.at(0).choice.certificate_id;
  };
  EXPECT_EQ(open().rollback("", kNow + 2 * kDay)->id, first);
  EXPECT_EQ(active(), first);
  EXPECT_SAYS(open().show(second)->history.back().reason, "rollback to " + first.substr(0, 16));
  EXPECT_EQ(open().rollback("main", kNow + 3 * kDay)->id, second);
  EXPECT_EQ(active(), second);
  EXPECT_FALSE(open().rollback("other", kNow + 3 * kDay));
  // What the node is called has changed meanwhile: the certificate before does not fit any more.
  settings_.connection_names = {"renamed.example.org"};
  const auto refused = open().rollback("", kNow + 4 * kDay).value();
  EXPECT_EQ(refused.report.first_failure()->kind, Check::Kind::Names);
  EXPECT_EQ(active(), second);
  EXPECT_FALSE(open().rollback("", kNow + 91 * kDay));
}

TEST_F(Store, DisabledWinsUntilEnable) {
  const std::string request = make_request();
  const auto id = open().import_certificate(chain(request), {}, kNow)->id;
  ASSERT_TRUE(open().disable("maintenance", kNow + kDay));
  auto state = open().load_active().value();
  EXPECT_TRUE(state.disabled);
  EXPECT_TRUE(state.certificates.empty());
  EXPECT_EQ(open().show(id)->state, CertificateState::Disabled);
  EXPECT_EQ(open().show(id)->history.back().reason, "maintenance");
  const auto while_disabled = open().import_certificate(chain(request), {}, kNow + 2 * kDay);
  ASSERT_TRUE(while_disabled);
  EXPECT_FALSE(while_disabled->active);
  EXPECT_TRUE(while_disabled->disabled);
  EXPECT_TRUE(open().load_active()->certificates.empty());
  ASSERT_TRUE(open().enable(kNow + 3 * kDay));
  state = open().load_active().value();
  EXPECT_EQ(state.certificates.at(0).choice.certificate_id, while_disabled->id);
  EXPECT_EQ(open().show(id)->state, CertificateState::Inactive);
}

TEST_F(Store, EnableNeedsSomethingToEnable) {
  const auto nothing = open().enable(kNow);
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::FailedPrecondition);
  // Disabled without a certificate: that keeps the site's own from being served.
  ASSERT_TRUE(open().disable("", kNow));
  EXPECT_TRUE(open().load_active()->disabled);
  ASSERT_TRUE(open().enable(kNow));
  EXPECT_FALSE(open().load_active()->disabled);
  ASSERT_TRUE(open().import_certificate(chain(make_request()), {}, kNow));
  ASSERT_TRUE(open().disable("", kNow));
  const auto expired = open().enable(kNow + 91 * kDay);
  ASSERT_FALSE(expired);
  EXPECT_SAYS(expired.error().message, "expired");
}

TEST_F(Store, RetiredCertificateIsKeptAndNotServed) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  ASSERT_TRUE(open().retire(id, {}, kNow + kDay));
  EXPECT_TRUE(open().load_active()->certificates.empty());
  const auto facts = open().show(id).value();
  EXPECT_EQ(facts.state, CertificateState::Retired);
  EXPECT_TRUE(std::filesystem::exists(facts.path));
  EXPECT_FALSE(open().retire("deadbeef", {}, kNow));
}

TEST_F(Store, WhatHappensWithinOneSecondHasAnOrder) {
  const std::string request = make_request();
  const std::string other = chain(make_request("other"));
  std::vector<std::string> chains = {chain(request), chain(request)};
  base::WallTime now = kNow;
  const auto soon = [&] { return now += std::chrono::milliseconds(1); };
  // Both ways round: one of them has the smaller digest.
  for (int i = 0; i < 2; ++i) {
    const auto earlier = open().import_certificate(chains.front(), {}, soon())->id;
    ASSERT_TRUE(open().retire(earlier, {}, soon()));
    const auto latest = open().import_certificate(chains.back(), {}, soon())->id;
    ASSERT_TRUE(open().import_certificate(other, {}, soon()));
    const auto inventory = open().list().value();
    const RenewalTarget target = renewal_target(inventory, "main");
    EXPECT_EQ(target.against, "another certificate is in use");
    ASSERT_NE(target.current, nullptr);
    EXPECT_EQ(target.current->id, latest);
    std::filesystem::remove_all(settings_.folder + "/main/" + earlier + ".crt");
    std::filesystem::remove_all(settings_.folder + "/main/" + earlier + ".json");
    std::filesystem::remove_all(settings_.folder + "/main/" + latest + ".crt");
    std::filesystem::remove_all(settings_.folder + "/main/" + latest + ".json");
    std::swap(chains.front(), chains.back());
  }
}

TEST_F(Store, RetireThatWasCutShortIsRepeated) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  const std::string active_path = settings_.folder + "/active.json";
  const std::string active = base::read_file(active_path, 65536).value();
  ASSERT_TRUE(open().retire(id, {.reason = "key lost"}, kNow + kDay));
  // As if the second write had been lost.
  ASSERT_TRUE(base::write_file_atomically(active_path, active, 0640));
  EXPECT_EQ(open().show(id)->state, CertificateState::Active);
  ASSERT_TRUE(open().retire(id, {.reason = "key lost"}, kNow + 2 * kDay));
  EXPECT_TRUE(open().load_active()->certificates.empty());
  EXPECT_EQ(open().show(id)->state, CertificateState::Retired);
  EXPECT_FALSE(open().rollback("", kNow + 3 * kDay));
}

TEST_F(Store, CertificateThatCannotBePutAwayIsStillServed) {
  const auto id = open().import_certificate(chain(make_request()), {}, kNow)->id;
  const std::string record = settings_.folder + "/main/" + id + ".json";
  std::filesystem::remove(record);
  std::filesystem::create_directory(record);
  EXPECT_FALSE(open().retire(id, {.reason = "key lost"}, kNow + kDay));
  EXPECT_EQ(open().load_active()->certificates.size(), 1U) << "or else rollback would find it";
}

}  // namespace
}  // namespace larder::certs
