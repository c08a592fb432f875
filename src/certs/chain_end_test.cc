#include "certs/chain_end.h"

#include <gtest/gtest.h>

#include <vector>

#include "crypto/issue.h"
#include "crypto/testing.h"

namespace larder::certs {
namespace {

using crypto::Certificate;
using crypto::testing::content;
using crypto::testing::kDay;
using crypto::testing::kNow;

class FirstToEnd : public testing::Test {
 protected:
  Certificate intermediate(const std::string& name, base::WallTime not_after) const {
    auto ca = content(true);
    ca.subject.common_name = name;
    ca.not_before = kNow - 20 * kDay;
    ca.not_after = not_after;
    return crypto::issue(ca, key_.public_key(), root_.certificate, root_.key).value();
  }
  // For 30 days.
  Certificate leaf(const Certificate& issuer) const {
    return crypto::issue(content(false), key_.public_key(), issuer, key_).value();
  }
  crypto::TrustStore trust() const {
    return crypto::TrustStore::from_certificates(std::span(&root_.certificate, 1)).value();
  }

  static crypto::testing::Pair long_lived_root() {
    auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
    auto ca = content(true);
    ca.not_before = kNow - 100 * kDay;
    ca.not_after = kNow + 1000 * kDay;
    auto certificate = crypto::issue_self_signed(ca, key).value();
    return {std::move(key), std::move(certificate)};
  }
  crypto::testing::Pair root_ = long_lived_root();
  crypto::PrivateKey key_ = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
};

TEST_F(FirstToEnd, IsTheLeafWhereItsIssuersLiveLonger) {
  const auto issuing = intermediate("Issuing", kNow + 300 * kDay);
  const std::vector<Certificate> chain{leaf(issuing), issuing};
  EXPECT_EQ(first_to_end(chain, nullptr, kNow), chain[0]);
  EXPECT_EQ(first_to_end(std::span(chain).first(1), nullptr, kNow), chain[0]);
}

TEST_F(FirstToEnd, IsTheIntermediateThatEndsBeforeTheLeaf) {
  const auto issuing = intermediate("Issuing", kNow + 3 * kDay);
  const std::vector<Certificate> chain{leaf(issuing), issuing};
  const auto known = trust();
  EXPECT_EQ(first_to_end(chain, &known, kNow), issuing);
  EXPECT_EQ(first_to_end(chain, &known, kNow + 10 * kDay), issuing) << "also when it has ended";
  EXPECT_EQ(first_to_end(chain, nullptr, kNow), issuing) << "also where no root is known";
}

TEST_F(FirstToEnd, IsNotAnIntermediateThatAnotherOneStandsInFor) {
  const auto issuing = intermediate("Issuing", kNow + 300 * kDay);
  // The same name and key: an older one, of which clients have no need.
  const auto older = intermediate("Issuing", kNow - 2 * kDay);
  const std::vector<Certificate> chain{leaf(issuing), older, issuing};
  const auto known = trust();
  EXPECT_EQ(first_to_end(chain, &known, kNow), chain[0]);
}

}  // namespace
}  // namespace larder::certs
