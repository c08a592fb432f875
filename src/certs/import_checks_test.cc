#include "certs/import_checks.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/issue.h"
#include "crypto/testing.h"

namespace larder::certs {
namespace {

using crypto::testing::content;
using crypto::testing::kDay;
using crypto::testing::kNow;
using crypto::testing::make_leaf;
using crypto::testing::make_root;

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(CheckChain, SelfSignedAndWeakCertificatesAreRefused) {
  const auto root = make_root();
  const auto trust = crypto::TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const std::vector<crypto::Certificate> own{
      crypto::issue_self_signed(content(false), key).value()};
  const auto report = check_chain(own, key, trust, {}, kNow);
  EXPECT_FALSE(report.passed());
  EXPECT_SAYS(report.failures(), "self-signed");
}

TEST(CheckChain, ChainThatClientsRefuseIsRefused) {
  auto root = make_root();
  auto narrow = content(true);
  narrow.constraints = crypto::NameConstraints{.dns_suffixes = {"other.example.org"}};
  root.certificate = crypto::issue_self_signed(narrow, root.key).value();
  const auto leaf = make_leaf(root);
  const auto trust = crypto::TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto report = check_chain(std::span(&leaf.certificate, 1), leaf.key, trust, {}, kNow);
  EXPECT_FALSE(report.passed());
  EXPECT_SAYS(report.failures(), "clients will refuse the chain");
}

TEST(CheckChain, OtherCertificatesMayCoverTheRest) {
  const auto root = make_root();
  const auto leaf = make_leaf(root);
  const auto trust = crypto::TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  auto other = content(false);
  other.names.dns = {"b.example.org"};
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const std::vector<crypto::Certificate> beside{
      crypto::issue(other, key.public_key(), root.certificate, root.key).value()};
  const std::vector<std::string> both{"a.example.org", "b.example.org"};
  const std::vector<std::string> second{"b.example.org"};
  const auto check = [&](const ExpectedNames& expected) {
    const auto report =
        check_chain(std::span(&leaf.certificate, 1), leaf.key, trust, expected, kNow);
    return std::ranges::find(report.checks, Check::Kind::Names, &Check::kind)->verdict;
  };
  using enum Check::Verdict;
  EXPECT_EQ(check({.names = both}), Failed);
  EXPECT_EQ(check({.names = both, .beside = beside}), Passed);
  EXPECT_EQ(check({.names = both, .partial = true}), Warning);
  // One that answers nobody is of no use, whatever the others cover.
  EXPECT_EQ(check({.names = second, .beside = beside, .partial = true}), Failed);
}

TEST(CheckChain, WhatAPredecessorDidNotCoverEitherIsToldNotRefused) {
  const auto root = make_root();
  const auto leaf = make_leaf(root);
  const auto trust = crypto::TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const auto with_names = [&](const std::vector<std::string>& dns) {
    auto template_of_it = content(false);
    template_of_it.names.dns = dns;
    return std::vector{
        crypto::issue(template_of_it, key.public_key(), root.certificate, root.key).value()};
  };
  const std::vector<std::string> both{"a.example.org", "b.example.org"};
  const std::vector<std::string> second{"b.example.org"};
  const auto like_it = with_names({"a.example.org"});
  const auto better = with_names(both);
  const auto other = with_names(second);
  const auto check = [&](const ExpectedNames& expected) {
    const auto report =
        check_chain(std::span(&leaf.certificate, 1), leaf.key, trust, expected, kNow);
    return std::ranges::find(report.checks, Check::Kind::Names, &Check::kind)->verdict;
  };
  using enum Check::Verdict;
  EXPECT_EQ(check({.names = both, .followed = like_it}), Warning);
  EXPECT_EQ(check({.names = both, .followed = better}), Failed);
  EXPECT_EQ(check({.names = both, .followed = better, .partial = true}), Warning);
  EXPECT_EQ(check({.names = both, .beside = other, .followed = better}), Passed);
  // One that answers nobody is of no use, whatever was before it.
  EXPECT_EQ(check({.names = second, .followed = like_it, .partial = true}), Failed);
}

TEST(CheckChain, WithoutConnectionNamesItWarns) {
  const auto root = make_root();
  const auto leaf = make_leaf(root);
  const auto trust = crypto::TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto report = check_chain(std::span(&leaf.certificate, 1), leaf.key, trust, {}, kNow);
  EXPECT_TRUE(report.passed()) << report.failures();
  EXPECT_TRUE(report.proven);
  const auto names = std::ranges::find(report.checks, Check::Kind::Names, &Check::kind);
  ASSERT_NE(names, report.checks.end());
  EXPECT_EQ(names->verdict, Check::Verdict::Warning);
}

}  // namespace
}  // namespace larder::certs
