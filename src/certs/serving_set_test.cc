#include "certs/serving_set.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace larder::certs {
namespace {

using crypto::KeyAlgorithm;
using crypto::testing::kDay;
using crypto::testing::kNow;

crypto::Certificate certificate(KeyAlgorithm algorithm, std::vector<std::string> dns,
                                std::vector<std::string> addresses = {}) {
  static const auto root = crypto::testing::make_root();
  auto content = crypto::testing::content(false);
  content.names = {.dns = std::move(dns), .addresses = std::move(addresses)};
  const auto key = crypto::PrivateKey::generate(algorithm).value();
  return crypto::issue(content, key.public_key(), root.certificate, root.key).value();
}

TEST(Replaces, SameKindThatCoversEveryName) {
  const auto served = certificate(KeyAlgorithm::EcP256, {"a.example.org"}, {"10.0.0.5"});
  const auto same = certificate(KeyAlgorithm::EcP384, {"a.example.org"}, {"10.0.0.5"});
  EXPECT_TRUE(replaces(same, served));
  const auto wider =
      certificate(KeyAlgorithm::EcP256, {"*.example.org", "b.test"}, {"10.0.0.5", "10.0.0.6"});
  EXPECT_TRUE(replaces(wider, served));
  EXPECT_FALSE(replaces(served, wider));
  EXPECT_FALSE(replaces(certificate(KeyAlgorithm::EcP256, {"a.example.org"}), served));
  EXPECT_FALSE(
      replaces(certificate(KeyAlgorithm::Rsa2048, {"a.example.org"}, {"10.0.0.5"}), served));
  EXPECT_FALSE(
      replaces(certificate(KeyAlgorithm::Ed25519, {"a.example.org"}, {"10.0.0.5"}), served));
}

TEST(Replaces, WildcardNeedsTheSameOne) {
  const auto wild = certificate(KeyAlgorithm::EcP256, {"*.example.org"});
  EXPECT_FALSE(replaces(certificate(KeyAlgorithm::EcP256, {"a.example.org"}), wild));
  EXPECT_TRUE(replaces(certificate(KeyAlgorithm::EcP256, {"*.example.org", "c.test"}), wild));
}

CertificateFacts facts(const std::string& id, int deactivated_on_day,
                       CertificateState state = CertificateState::Inactive) {
  CertificateFacts result;
  result.id = id;
  result.state = state;
  result.not_before = kNow - 100 * kDay;
  result.not_after = kNow + 100 * kDay;
  result.history.push_back({Record::Event::Imported, kNow - 50 * kDay, ""});
  result.history.push_back({Record::Event::Deactivated, kNow + deactivated_on_day * kDay, ""});
  return result;
}

TEST(ChooseEarlier, LastOneThatIsStillGood) {
  Inventory inventory;
  inventory.keys.resize(2);
  inventory.keys[0].name = "a";
  inventory.keys[0].certificates = {facts("one", 1), facts("two", 3)};
  inventory.keys[1].name = "b";
  inventory.keys[1].certificates = {facts("three", 2), facts("active", 9, CertificateState::Active),
                                    facts("retired", 9, CertificateState::Retired)};
  CertificateFacts never = facts("never", 0);
  never.history.pop_back();
  inventory.keys[1].certificates.push_back(never);
  const auto id = [&](std::string_view key, int day) {
    const auto* const chosen = choose_earlier(inventory, key, kNow + day * kDay);
    return chosen != nullptr ? chosen->id : "";
  };
  EXPECT_EQ(id("", 4), "two");
  EXPECT_EQ(id("b", 4), "three");
  EXPECT_EQ(id("c", 4), "");
  EXPECT_EQ(id("", 101), "");
  EXPECT_EQ(id("", -101), "");
}

}  // namespace
}  // namespace larder::certs
