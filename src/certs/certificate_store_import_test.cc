#include <algorithm>
#include <filesystem>

#include "certs/testing.h"

namespace larder::certs {
namespace {

using crypto::Certificate;

TEST_F(Store, ImportedChainIsProvenAndActive) {
  for (const auto algorithm : {crypto::KeyAlgorithm::EcP256, crypto::KeyAlgorithm::Rsa2048,
                               crypto::KeyAlgorithm::EcP384, crypto::KeyAlgorithm::Ed25519}) {
    const std::string name = "k" + std::to_string(static_cast<int>(algorithm));
    const std::string request = make_request(name, algorithm);
    const auto outcome = open().import_certificate(chain(request), {}, kNow);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(outcome->active);
    EXPECT_TRUE(outcome->report.proven);
    const auto active = open().load_active().value();
    ASSERT_FALSE(active.certificates.empty());
    EXPECT_EQ(active.certificates[0].choice.key_name, name);
    EXPECT_EQ(active.certificates[0].chain.size(), 2U);
    EXPECT_TRUE(active.certificates[0].chain.front().matches(active.certificates[0].key));
  }
}

TEST_F(Store, ChainMayComeInAnyOrderWithItsRoot) {
  const std::string request = make_request();
  const std::string text =
      authority_.root_pem() + authority_.issuing_pem() + "some text\n" + authority_.sign(request);
  ASSERT_TRUE(open().import_certificate(text, {}, kNow));
  const auto active = open().load_active().value();
  ASSERT_EQ(active.certificates[0].chain.size(), 2U);
  EXPECT_EQ(active.certificates[0].chain[1].common_name(), "Issuing CA");
}

TEST_F(Store, DerLeafIsAccepted) {
  settings_.client_trust = {folder_ + "/issuing.pem"};
  ASSERT_TRUE(base::write_file_atomically(folder_ + "/issuing.pem",
                                          authority_.issuing_pem() + authority_.root_pem(), 0644));
  const auto leaf = Certificate::from_pem(authority_.sign(make_request())).value();
  const auto outcome = open().import_certificate(leaf.to_der(), {}, kNow);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->report.proven);
}

TEST_F(Store, IntermediateThatMayNotSignIsABrokenChain) {
  const std::string leaf = authority_.sign(make_request());
  const std::string false_issuer =
      authority_.issuing_pem([](auto& content) { content.is_ca = false; });
  EXPECT_SAYS(refusal(leaf + false_issuer),
              "\"CN=Issuing CA\" signed a certificate of it and may not");
  // Of an authority that is not known here as well.
  ASSERT_TRUE(base::write_file_atomically(folder_ + "/root.pem", Authority().root_pem(), 0644));
  const auto refused = open().import_certificate(leaf + false_issuer, {}, kNow).value();
  ASSERT_FALSE(refused.report.passed());
  EXPECT_EQ(refused.report.first_failure()->kind, Check::Kind::Chain);
  EXPECT_SAYS(refused.report.failures(), "lacks keyCertSign");
  // Beside the proper one it does no harm.
  EXPECT_TRUE(
      open().import_certificate(leaf + false_issuer + authority_.issuing_pem(), {}, kNow)->active);
  ASSERT_EQ(open().load_active()->certificates.at(0).chain.size(), 2U);
  EXPECT_TRUE(open().load_active()->certificates.at(0).chain[1].is_ca());
}

TEST_F(Store, LeafAloneIsCompletedFromAnEarlierChain) {
  const std::string request = make_request();
  const auto brief = [](auto& content) { content.not_after = kNow + 5 * kDay; };
  ASSERT_TRUE(
      open()
          .import_certificate(authority_.sign(request) + authority_.issuing_pem(brief), {}, kNow)
          ->active);
  ASSERT_TRUE(open().import_certificate(chain(request), {}, kNow)->active);
  const auto outcome = open().import_certificate(authority_.sign(request), {}, kNow).value();
  EXPECT_TRUE(outcome.report.proven) << outcome.report.failures();
  const auto told = std::ranges::find_if(outcome.report.checks, [](const Check& check) {
    return check.message.contains("\"CN=Issuing CA\" was added to it");
  });
  ASSERT_NE(told, outcome.report.checks.end());
  EXPECT_EQ(told->verdict, Check::Verdict::Warning);
  const auto served = open().load_active()->certificates.at(0);
  ASSERT_EQ(served.chain.size(), 2U);
  EXPECT_EQ(served.chain[1].to_pem(), authority_.issuing_pem()) << "the one that lasts longest";
}

TEST_F(Store, LeafAloneIsCompletedWhereItsRootIsNotKnown) {
  ASSERT_TRUE(base::write_file_atomically(folder_ + "/root.pem", Authority().root_pem(), 0644));
  const std::string request = make_request();
  ASSERT_TRUE(open().import_certificate(chain(request), {}, kNow)->active);
  const auto outcome = open().import_certificate(authority_.sign(request), {}, kNow).value();
  EXPECT_TRUE(outcome.active);
  EXPECT_FALSE(outcome.report.proven);
  EXPECT_EQ(open().load_active()->certificates.at(0).chain.size(), 2U);
}

TEST_F(Store, ChainIsCompletedOnlyByWhatTrulySignedAndIsValid) {
  const std::string request = make_request();
  // The same names, another key.
  const Authority namesake;
  ASSERT_TRUE(
      open().import_certificate(namesake.sign(request) + namesake.issuing_pem(), {}, kNow)->active);
  const auto foreign =
      open().import_certificate(authority_.sign(request), {.dry_run = true}, kNow).value();
  EXPECT_FALSE(foreign.report.proven);
  const auto brief = [](auto& content) { content.not_after = kNow + 5 * kDay; };
  ASSERT_TRUE(
      open()
          .import_certificate(authority_.sign(request) + authority_.issuing_pem(brief), {}, kNow)
          ->active);
  const std::string leaf = authority_.sign(request);
  EXPECT_TRUE(open().import_certificate(leaf, {.dry_run = true}, kNow)->report.proven);
  EXPECT_FALSE(open().import_certificate(leaf, {.dry_run = true}, kNow + 6 * kDay)->report.proven);
}

TEST_F(Store, UnknownAuthorityBecomesActiveUnprovenWithAdvice) {
  const Authority other;
  const std::string request = make_request();
  const auto outcome = open().import_certificate(other.sign(request), {}, kNow);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(outcome->active);
  EXPECT_FALSE(outcome->report.proven);
  const auto& checks = outcome->report.checks;
  const auto advice = std::ranges::find(checks, Check::Kind::Chain, &Check::kind);
  ASSERT_NE(advice, checks.end());
  EXPECT_EQ(advice->verdict, Check::Verdict::Warning);
  EXPECT_SAYS(advice->message, "client_trust");
  EXPECT_FALSE(certificates().front().proven);
}

TEST_F(Store, EachFailedCheckHasItsOwnMessage) {
  const std::string request = make_request();
  using T = crypto::CertificateTemplate;
  EXPECT_SAYS(refusal(chain(request,
                            [](T& t) {
                              t.not_before = kNow - 9 * kDay;
                              t.not_after = kNow - kDay;
                            })),
              "expired on");
  EXPECT_SAYS(refusal(chain(request, [](T& t) { t.not_before = kNow + kDay; })),
              "not valid before");
  EXPECT_SAYS(refusal(chain(request,
                            [](T& t) {
                              t.server_auth = false;
                              t.client_auth = true;
                            })),
              "serverAuth");
  EXPECT_SAYS(refusal(chain(request, [](T& t) { t.is_ca = true; })), "CA's own");
  EXPECT_SAYS(refusal(chain(request, [](T& t) { t.names.addresses.clear(); })),
              "do not cover 10.0.0.5");
  EXPECT_SAYS(refusal(chain(request, [](T& t) { t.names.dns = {"*.org"}; })),
              "do not cover node1.example.org");
  const auto both = refusal(chain(request, [](T& t) {
    t.server_auth = false;
    t.not_after = kNow - std::chrono::hours(1);
  }));
  EXPECT_SAYS(both, "expired on");
  EXPECT_SAYS(both, "serverAuth");
}

TEST_F(Store, ForeignCertificateIsRefused) {
  EXPECT_SAYS(refusal(authority_.sign_key(
                  crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value().public_key(),
                  {.dns = {"node1.example.org"}})),
              "no key is held here");
  make_request();
  EXPECT_SAYS(refusal(authority_.sign_key(
                  crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value().public_key(),
                  {.dns = {"node1.example.org"}})),
              "matches no key held here (main)");
}

TEST_F(Store, PrivateKeyGivenByMistakeIsRefusedAndStoredNowhere) {
  const std::string request = make_request();
  const auto foreign = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const std::string pem = foreign.to_pem().value();
  const std::string secret = pem.substr(40, 40);
  ::testing::internal::CaptureStderr();
  for (const std::string& content :
       {pem, authority_.sign(request) + pem, pem + authority_.sign(request)}) {
    const std::string message = refusal(content);
    EXPECT_SAYS(message, "private key");
    EXPECT_EQ(message.find(secret), std::string::npos);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr().find(secret), std::string::npos);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(settings_.folder)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_EQ(base::read_file(entry.path().string(), 1 << 20).value().find(secret),
              std::string::npos)
        << entry.path();
  }
}

TEST_F(Store, DryRunReportsAndWritesNothing) {
  const std::string request = make_request();
  const auto good = open().import_certificate(chain(request), {.dry_run = true}, kNow);
  ASSERT_TRUE(good);
  EXPECT_TRUE(good->report.passed());
  EXPECT_FALSE(good->active);
  const auto bad = open().import_certificate(
      chain(request, [](crypto::CertificateTemplate& t) { t.server_auth = false; }),
      {.dry_run = true}, kNow);
  ASSERT_TRUE(bad);
  EXPECT_FALSE(bad->report.passed());
  EXPECT_TRUE(certificates().empty());
  EXPECT_FALSE(std::filesystem::exists(settings_.folder + "/active.json"));
}

TEST_F(Store, FailedImportKeepsTheActiveCertificate) {
  const std::string request = make_request();
  const auto id = open().import_certificate(chain(request), {}, kNow)->id;
  const auto refused = open().import_certificate(
      chain(request, [](crypto::CertificateTemplate& t) { t.server_auth = false; }), {}, kNow);
  EXPECT_FALSE(refused.value().report.passed());
  EXPECT_FALSE(refused->active);
  EXPECT_EQ(open().load_active()->certificates.at(0).choice.certificate_id, id);
  EXPECT_EQ(certificates().size(), 1U);
}

TEST_F(Store, RevokedCertificateIsNotImportedAgain) {
  const std::string request = make_request();
  const std::string signed_chain = chain(request);
  const std::string id = open().import_certificate(signed_chain, {}, kNow)->id;
  ASSERT_TRUE(open().retire(id, {.reason = "the laptop was stolen", .revoked = true}, kNow));
  for (const bool dry_run : {true, false}) {
    const auto outcome = open().import_certificate(signed_chain, {.dry_run = dry_run}, kNow);
    ASSERT_TRUE(outcome);
    ASSERT_FALSE(outcome->report.passed());
    EXPECT_EQ(outcome->report.first_failure()->kind, Check::Kind::Revoked);
    EXPECT_SAYS(outcome->report.failures(), "the laptop was stolen");
  }
  EXPECT_EQ(open().show(id)->state, CertificateState::Retired);
  EXPECT_TRUE(open().load_active()->certificates.empty());
  // One that was only put away may come back; so may another one of the same request.
  const std::string another = chain(request);
  for (int turn = 0; turn < 2; ++turn) {
    const auto outcome = open().import_certificate(another, {}, kNow);
    ASSERT_TRUE(outcome->active) << outcome->report.failures();
    ASSERT_TRUE(open().retire(outcome->id, {}, kNow));
  }
}

TEST_F(Store, OfSeveralLeavesAndIssuersWhatClientsCanUseIsServed) {
  const std::string request = make_request();
  const auto ends = [](int days) {
    return [days](crypto::CertificateTemplate& content) { content.not_after = kNow + days * kDay; };
  };
  const std::string leaf = authority_.sign(request);
  std::vector<std::string> parts{authority_.sign(request,
                                                 [](auto& content) {
                                                   content.not_before = kNow - 9 * kDay;
                                                   content.not_after = kNow - kDay;
                                                 }),
                                 authority_.issuing_pem(ends(-1)),
                                 authority_.sign(request, ends(20)), authority_.issuing_pem(),
                                 leaf};
  for (std::size_t turn = 0; turn < parts.size(); ++turn) {
    std::ranges::rotate(parts, parts.begin() + 1);
    std::string file;
    for (const std::string& part : parts) file += part;
    const auto outcome = open().import_certificate(file, {}, kNow).value();
    ASSERT_TRUE(outcome.active) << outcome.report.failures();
    EXPECT_TRUE(outcome.report.proven);
    const auto served = open().load_active()->certificates.at(0).chain;
    ASSERT_EQ(served.size(), 2U);
    EXPECT_EQ(served[0].to_pem(), leaf);
    EXPECT_EQ(served[1].to_pem(), authority_.issuing_pem());
  }
}

}  // namespace
}  // namespace larder::certs
