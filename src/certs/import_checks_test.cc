#include "certs/import_checks.h"

#include <gtest/gtest.h>

#include "crypto/issue.h"
#include "crypto/request.h"
#include "crypto/testing.h"

namespace larder::certs {
namespace {

using crypto::testing::content;
using crypto::testing::kDay;
using crypto::testing::kNow;
using crypto::testing::make_leaf;
using crypto::testing::make_root;
using crypto::testing::Pair;

std::string refusal(std::string_view text) {
  const auto read = read_certificates(text);
  EXPECT_FALSE(read);
  return read ? "" : read.error().message;
}

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(ReadCertificates, NamesWhatIsNoCertificate) {
  const auto root = make_root();
  const auto leaf = make_leaf(root);
  EXPECT_SAYS(refusal(""), "empty");
  EXPECT_SAYS(refusal("hello"), "neither");
  EXPECT_SAYS(refusal("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "not a");
  EXPECT_SAYS(refusal(std::string(2 << 20, 'a')), "1 MiB");
  const auto request =
      crypto::CertificateRequest::create(leaf.key, {}, {.dns = {"a.example.org"}}).value();
  EXPECT_SAYS(refusal(request.to_pem()), "this is the request");
  EXPECT_SAYS(refusal(leaf.key.to_pem().value()), "private key");
}

TEST(OrderChain, ForeignCertificatesAreLeftOut) {
  const auto root = make_root();
  const auto stranger = make_root();
  const auto leaf = make_leaf(root);
  const std::vector<crypto::Certificate> all{stranger.certificate, root.certificate,
                                             leaf.certificate};
  const auto chain = order_chain(leaf.certificate, all);
  ASSERT_EQ(chain.size(), 1U);
  EXPECT_EQ(chain[0], leaf.certificate);
}

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

TEST(CheckChain, WithoutConnectionNamesItWarns) {
  const auto root = make_root();
  const auto leaf = make_leaf(root);
  const auto trust = crypto::TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto report = check_chain(std::span(&leaf.certificate, 1), leaf.key, trust, {}, kNow);
  EXPECT_TRUE(report.passed()) << report.failures();
  EXPECT_TRUE(report.proven);
  EXPECT_EQ(report.checks[4].verdict, Check::Verdict::Warning);
}

}  // namespace
}  // namespace larder::certs
