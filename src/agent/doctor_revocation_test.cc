#include "agent/doctor_revocation.h"

#include <gtest/gtest.h>

#include <map>

#include "crypto/ocsp_testing.h"
#include "crypto/revocation.h"
#include "crypto/testing.h"

namespace larder::agent {
namespace {

using base::ErrorCode;
using client::PlaceAnswer;
using crypto::testing::kDay;
using crypto::testing::kNow;
using crypto::testing::make_leaf;
using crypto::testing::make_root;
using crypto::testing::ocsp_answer;
using crypto::testing::OcspAnswer;
using Verdict = Finding::Verdict;

bool says(const Finding& finding, std::string_view words) {
  return finding.text.contains(words);
}

TEST(DoctorRevocation, StapledAnswerIsGoodRevokedOldUnknownOrForged) {
  const auto root = make_root();
  const auto stranger = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto [other_key, other] = make_leaf(root);
  const auto judge = [&](const std::string& staple, base::WallTime now = kNow) {
    return judge_staple(staple, leaf, &root.certificate, now);
  };
  const std::string good = ocsp_answer(root, root.certificate, leaf);
  Finding finding = judge(good);
  EXPECT_EQ(finding.verdict, Verdict::Ok) << finding.text;
  EXPECT_TRUE(says(finding, "good, until 20")) << finding.text;

  finding = judge(ocsp_answer(root, root.certificate, leaf, {.status = V_OCSP_CERTSTATUS_REVOKED}));
  EXPECT_EQ(finding.verdict, Verdict::Wrong);
  EXPECT_TRUE(says(finding, "\"CN=a.example.org\" is revoked since 20")) << finding.text;
  EXPECT_TRUE(says(finding, "(keyCompromise), says the stapled")) << finding.text;
  EXPECT_TRUE(finding.fix.contains("larder cert request"));

  const std::string unknown =
      ocsp_answer(root, root.certificate, leaf, {.status = V_OCSP_CERTSTATUS_UNKNOWN});
  const std::string early =
      ocsp_answer(root, root.certificate, leaf, {.this_update = kNow + kDay, .next_update = {}});
  for (const auto& [staple, now, words] :
       {std::tuple{good, kNow + 2 * kDay, "out of date since"},
        std::tuple{early, kNow, "from the future"},
        std::tuple{unknown, kNow, "does not know the certificate"},
        std::tuple{ocsp_answer(stranger, root.certificate, leaf), kNow, "signature is not good"},
        std::tuple{ocsp_answer(root, root.certificate, other), kNow, "about another certificate"},
        std::tuple{std::string("noise"), kNow, "no OCSP answer"}}) {
    finding = judge(staple, now);
    EXPECT_EQ(finding.verdict, Verdict::Wrong) << words;
    EXPECT_TRUE(says(finding, words)) << finding.text;
    EXPECT_FALSE(finding.fix.empty());
  }
  EXPECT_EQ(judge("").verdict, Verdict::Skipped);
  EXPECT_EQ(judge_staple(good, leaf, nullptr, kNow).verdict, Verdict::Skipped);
}

TEST(DoctorRevocation, PlaceThatSaysNothingIsADoubtAndOneThatSaysRevokedIsWrong) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto judge = [&](base::Result<crypto::RevocationStatus> status) {
    return judge_place({PlaceAnswer::Kind::List, "http://ca.test/a.crl", std::move(status)}, leaf);
  };
  const auto failed = [&](ErrorCode code, std::string text) {
    const Finding finding = judge(base::fail(code, std::move(text)));
    EXPECT_EQ(finding.verdict, Verdict::Warning);
    EXPECT_TRUE(says(finding, "http://ca.test/a.crl: ")) << finding.text;
    EXPECT_FALSE(finding.fix.empty());
    return finding.text;
  };
  crypto::RevocationStatus status;
  status.this_update = kNow;
  EXPECT_EQ(judge(status).verdict, Verdict::Ok);
  status.is_revoked = true;
  const Finding finding = judge(status);
  EXPECT_EQ(finding.verdict, Verdict::Wrong);
  EXPECT_TRUE(says(finding, "says http://ca.test/a.crl (revocation list)")) << finding.text;
  EXPECT_TRUE(
      failed(ErrorCode::Unavailable, "nobody is there").contains("cannot be had from here"));
  EXPECT_TRUE(failed(ErrorCode::DeadlineExceeded, "http://ca.test/a.crl: late").contains("cannot"));
  EXPECT_TRUE(failed(ErrorCode::PermissionDenied, "own").contains("was not asked for"));
  EXPECT_TRUE(failed(ErrorCode::Unauthenticated, "forged").contains("answers, and says nothing"));
}

TEST(DoctorRevocation, EveryPlaceOfTheChainIsAskedAndNoneOfTheRoots) {
  const auto root = make_root();
  const auto make = [&](bool is_ca, const crypto::testing::Pair& issuer, std::string url) {
    auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
    auto content = crypto::testing::content(is_ca);
    if (is_ca) content.subject.common_name = "Issuing";
    content.crl_url = std::move(url);
    auto made = crypto::issue(content, key.public_key(), issuer.certificate, issuer.key).value();
    return crypto::testing::Pair{std::move(key), std::move(made)};
  };
  const auto issuing = make(true, root, "http://ca.test/root.crl");
  const auto leaf = make(false, issuing, "http://ca.test/issuing.crl");
  const std::vector<crypto::Certificate> chain{leaf.certificate, issuing.certificate,
                                               root.certificate};
  const std::vector<crypto::RevokedCertificate> revoked{
      {issuing.certificate.serial_hex(), kNow - kDay, crypto::RevocationReason::KeyCompromise}};
  const auto list = [&](const crypto::testing::Pair& issuer,
                        std::span<const crypto::RevokedCertificate> entries) {
    return crypto::issue_crl({.number = 1,
                              .this_update = kNow - kDay,
                              .next_update = kNow + kDay,
                              .revoked = entries},
                             issuer.certificate, issuer.key)
        .value();
  };
  const std::map<std::string, std::string> lists{{"http://ca.test/root.crl", list(root, revoked)},
                                                 {"http://ca.test/issuing.crl", list(issuing, {})}};
  int asked = 0;
  const client::HttpExchange ask =
      [&](const client::HttpRequest& request) -> base::Result<client::HttpResponse> {
    ++asked;
    const auto found = lists.find(request.url);
    if (found == lists.end()) return base::fail(ErrorCode::Unavailable, "nobody is there");
    return client::HttpResponse{.status = 200, .fields = {}, .body = found->second};
  };
  const auto findings = examine_revocation(chain, "", chain, ask, kNow);
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].check, "staple");
  EXPECT_EQ(findings[1].verdict, Verdict::Ok) << findings[1].text;
  EXPECT_EQ(findings[2].verdict, Verdict::Wrong) << findings[2].text;
  EXPECT_TRUE(says(findings[2], "\"CN=Issuing\" is revoked")) << findings[2].text;
  EXPECT_TRUE(findings[2].fix.contains("another issuing CA")) << findings[2].fix;

  // What the server sent besides is not believed.
  const auto partial = examine_revocation(chain, "", std::span(chain).first(1), ask, kNow);
  EXPECT_EQ(partial.size(), 1U);
  asked = 0;
  const auto untrusted = examine_revocation(chain, "", {}, ask, kNow);
  ASSERT_EQ(untrusted.size(), 2U);
  EXPECT_EQ(untrusted[1].verdict, Verdict::Skipped);
  EXPECT_TRUE(says(untrusted[1], "were not asked: the chain")) << untrusted[1].text;
  EXPECT_EQ(asked, 0);
}

TEST(DoctorRevocation, CertificateThatNamesNothingIsSaidToDoSo) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto findings = examine_revocation(std::span(&leaf, 1), "", {}, nullptr, kNow);
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_TRUE(says(findings[0], "names no responder"));
  EXPECT_EQ(findings[1].verdict, Verdict::Skipped);
}

}  // namespace
}  // namespace larder::agent
