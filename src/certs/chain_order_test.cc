#include "certs/chain_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "crypto/issue.h"
#include "crypto/testing.h"

namespace larder::certs {
namespace {

using crypto::Certificate;
using crypto::testing::content;
using crypto::testing::kDay;
using crypto::testing::kNow;
using crypto::testing::make_leaf;
using crypto::testing::make_root;
using crypto::testing::Pair;

using Adjust = std::function<void(crypto::CertificateTemplate&)>;

crypto::PrivateKey make_key() {
  return crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
}

Certificate make_ca(const crypto::PrivateKey& key, const Pair& issuer, const Adjust& adjust = {}) {
  auto template_of_ca = content(true);
  template_of_ca.subject.common_name = "Issuing";
  if (adjust) adjust(template_of_ca);
  return crypto::issue(template_of_ca, key.public_key(), issuer.certificate, issuer.key).value();
}

crypto::TrustStore trusts(const Certificate& root) {
  return crypto::TrustStore::from_certificates(std::span(&root, 1)).value();
}

// The second certificate of the chain, which is the same whatever the order of the file.
Certificate issuer_chosen(const Certificate& leaf, std::vector<Certificate> others,
                          const Certificate& root) {
  const auto chain = order_chain(leaf, others, trusts(root), kNow);
  EXPECT_EQ(chain.size(), 2U);
  for (std::size_t turn = 1; turn < others.size(); ++turn) {
    std::ranges::rotate(others, others.begin() + 1);
    EXPECT_EQ(order_chain(leaf, others, trusts(root), kNow), chain);
  }
  return chain.at(1);
}

TEST(OrderChain, ForeignCertificatesAreLeftOut) {
  const auto root = make_root();
  const auto stranger = make_root();
  const auto leaf = make_leaf(root);
  const std::vector<Certificate> all{stranger.certificate, root.certificate, leaf.certificate};
  const auto chain = order_chain(leaf.certificate, all, trusts(root.certificate), kNow);
  ASSERT_EQ(chain.size(), 1U);
  EXPECT_EQ(chain[0], leaf.certificate);
}

TEST(OrderChain, OfTwoIssuersOfOneNameTheOneThatSignedIsTaken) {
  const auto root = make_root();
  const auto namesake = make_root();
  auto key = make_key();
  const auto certificate = make_ca(key, root);
  const Pair issuing{std::move(key), certificate};
  const auto other = make_ca(make_key(), namesake);
  const auto leaf = make_leaf(issuing);
  EXPECT_TRUE(leaf.certificate.was_signed_by(issuing.certificate));
  EXPECT_FALSE(leaf.certificate.was_signed_by(other));
  EXPECT_FALSE(leaf.certificate.was_signed_by(root.certificate));
  for (const Certificate& trusted : {root.certificate, namesake.certificate}) {
    EXPECT_EQ(issuer_chosen(leaf.certificate, {other, certificate}, trusted), certificate);
  }
}

TEST(OrderChain, OfARenewedIssuerTheOneThatIsValidAndLastsIsTaken) {
  const auto root = make_root();
  auto key = make_key();
  const auto ended = make_ca(key, root, [](auto& it) { it.not_after = kNow - kDay / 2; });
  const auto brief = make_ca(key, root, [](auto& it) { it.not_after = kNow + kDay; });
  const auto future = make_ca(key, root, [](auto& it) {
    it.not_before = kNow + kDay;
    it.not_after = kNow + 90 * kDay;
  });
  const auto lasting = make_ca(key, root);
  const auto leaf = make_leaf({std::move(key), lasting});
  const std::vector<Certificate> all{ended, future, brief, lasting};
  EXPECT_EQ(issuer_chosen(leaf.certificate, all, root.certificate), lasting);
  EXPECT_EQ(issuer_chosen(leaf.certificate, all, make_root().certificate), lasting)
      << "also where no root is known";
}

TEST(OrderChain, OfCrossSignedIssuersTheOneThatLeadsToAKnownRootIsTaken) {
  const auto first = make_root();
  auto other_root = make_key();
  auto named = content(true);
  named.subject.common_name = "Other Root";
  const auto certificate = crypto::issue_self_signed(named, other_root).value();
  const Pair second{std::move(other_root), certificate};
  auto key = make_key();
  // What lasts longer is of no use where its root is not known.
  const auto by_first = make_ca(key, first, [](auto& it) { it.not_after = kNow + 5 * kDay; });
  const auto by_second = make_ca(key, second);
  const auto leaf = make_leaf({std::move(key), by_first});
  const std::vector<Certificate> all{by_second, second.certificate, by_first, leaf.certificate};
  EXPECT_EQ(issuer_chosen(leaf.certificate, all, first.certificate), by_first);
  EXPECT_EQ(issuer_chosen(leaf.certificate, all, second.certificate), by_second);
}

TEST(OrderChain, AuthoritiesThatSignEachOtherComeToAnEnd) {
  std::vector<crypto::PrivateKey> keys;
  for (std::size_t i = 0; i < 7; ++i) keys.push_back(make_key());
  const auto named = [](std::size_t i) {
    auto it = content(true);
    it.subject.common_name = "CA " + std::to_string(i);
    return it;
  };
  std::vector<Certificate> self_signed;
  for (std::size_t i = 0; i < 7; ++i) {
    self_signed.push_back(crypto::issue_self_signed(named(i), keys[i]).value());
  }
  std::vector<Certificate> all;
  for (std::size_t i = 0; i < 7; ++i) {
    for (std::size_t j = 0; j < 7; ++j) {
      if (i == j) continue;
      all.push_back(crypto::issue(named(j), keys[j].public_key(), self_signed[i], keys[i]).value());
    }
  }
  const auto leaf =
      crypto::issue(content(false), make_key().public_key(), self_signed[0], keys[0]).value();
  const auto chain = order_chain(leaf, all, trusts(make_root().certificate), kNow);
  EXPECT_EQ(chain.front(), leaf);
  EXPECT_LE(chain.size(), 16U);
}

TEST(ChooseLeaf, IsValidNowAndEndsLast) {
  const auto root = make_root();
  const auto key = make_key();
  const auto leaf = [&](const Adjust& adjust) {
    auto it = content(false);
    adjust(it);
    return crypto::issue(it, key.public_key(), root.certificate, root.key).value();
  };
  const auto ended = leaf([](auto& it) { it.not_after = kNow - kDay / 2; });
  const auto future = leaf([](auto& it) {
    it.not_before = kNow + kDay;
    it.not_after = kNow + 90 * kDay;
  });
  const auto brief = leaf([](auto& it) { it.not_after = kNow + kDay; });
  const auto lasting = leaf([](auto&) {});
  auto long_lived = content(false);
  long_lived.not_after = kNow + 300 * kDay;
  const auto own = crypto::issue_self_signed(long_lived, key).value();
  std::vector<Certificate> all{root.certificate, ended, future, brief, lasting, own};
  for (std::size_t turn = 0; turn < all.size(); ++turn) {
    std::ranges::rotate(all, all.begin() + 1);
    EXPECT_EQ(*choose_leaf(all, key, kNow), lasting);
  }
  EXPECT_EQ(*choose_leaf(std::span(&ended, 1), key, kNow), ended) << "the checks say what is wrong";
  EXPECT_EQ(choose_leaf(all, make_key(), kNow), nullptr);
}

}  // namespace
}  // namespace larder::certs
