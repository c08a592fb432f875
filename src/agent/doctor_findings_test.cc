#include "agent/doctor_findings.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace larder::agent {
namespace {

using crypto::TrustStore;
using crypto::testing::kDay;
using crypto::testing::kNow;
using crypto::testing::make_leaf;
using crypto::testing::make_root;
using Verdict = Finding::Verdict;

const Finding& find(const std::vector<Finding>& findings, std::string_view check) {
  for (const Finding& finding : findings) {
    if (finding.check == check) return finding;
  }
  static const Finding none;
  return none;
}

TEST(Doctor, FindsTheProxyThatProgramsWouldAsk) {
  EXPECT_EQ(proxy_for({}, "https", "node1.test"), "");
  EXPECT_EQ(proxy_for({{"https_proxy", "http://p:3128"}}, "https", "node1.test"), "http://p:3128");
  EXPECT_EQ(proxy_for({{"https_proxy", "http://p:3128"}}, "http", "node1.test"), "");
  EXPECT_EQ(proxy_for({{"HTTPS_PROXY", "http://p:3128"}}, "https", "node1.test"), "http://p:3128");
  EXPECT_EQ(proxy_for({{"HTTP_PROXY", "http://p:3128"}}, "http", "node1.test"), "");
  EXPECT_EQ(proxy_for({{"all_proxy", "http://p"}}, "http", "node1.test"), "http://p");
  for (const char* exempt : {"*", "node1.test", ".test", "a, test", "*.test"}) {
    EXPECT_EQ(proxy_for({{"all_proxy", "p"}, {"no_proxy", exempt}}, "http", "node1.test"), "")
        << exempt;
  }
  EXPECT_EQ(proxy_for({{"all_proxy", "p"}, {"no_proxy", "est,1.test"}}, "http", "node1.test"), "p");
}

TEST(Doctor, HidesTheProxysPassword) {
  const Finding finding =
      judge_proxy({{"https_proxy", "http://user:secret@proxy:3128"}}, "https", "node1.test");
  EXPECT_EQ(finding.verdict, Verdict::Wrong);
  EXPECT_EQ(finding.text.find("secret"), std::string::npos);
}

TEST(Doctor, JudgesEachAspectOfACertificateByItself) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const auto trust = TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto chain = std::span(&leaf, 1);

  auto findings = judge_certificates(chain, "a.example.org", trust, kNow - kDay / 2);
  for (const char* check : {"chain", "dates", "name", "usage"}) {
    EXPECT_EQ(find(findings, check).verdict, Verdict::Ok) << find(findings, check).text;
  }
  EXPECT_EQ(
      find(judge_certificates(chain, "a.example.org", trust, kNow + 5 * kDay), "dates").verdict,
      Verdict::Warning);

  findings = judge_certificates(chain, "b.example.org", trust, kNow + 31 * kDay);
  EXPECT_EQ(find(findings, "chain").verdict, Verdict::Ok) << "expiry has a finding of its own";
  EXPECT_EQ(find(findings, "dates").verdict, Verdict::Wrong);
  EXPECT_EQ(find(findings, "name").verdict, Verdict::Wrong);
  EXPECT_NE(find(findings, "name").text.find("a.example.org"), std::string::npos);
}

TEST(Doctor, NamesAnIntermediateThatEndsBeforeTheCertificate) {
  const auto root = make_root();
  auto middle = crypto::testing::content(true);
  middle.subject.common_name = "Middle";
  middle.not_after = kNow + 3 * kDay;
  auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const auto issuing = crypto::issue(middle, key.public_key(), root.certificate, root.key).value();
  const std::vector<crypto::Certificate> chain{
      crypto::issue(crypto::testing::content(false), key.public_key(), issuing, key).value(),
      issuing};
  const auto trust = TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto findings = judge_certificates(chain, "a.example.org", trust, kNow);
  const Finding& dates = find(findings, "dates");
  EXPECT_EQ(dates.verdict, Verdict::Warning);
  EXPECT_NE(dates.text.find("Middle"), std::string::npos) << dates.text;
}

TEST(Doctor, NamesTheMissingIntermediate) {
  const auto root = make_root();
  auto content = crypto::testing::content(true);
  content.subject.common_name = "Middle";
  auto middle_key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  auto middle = crypto::issue(content, middle_key.public_key(), root.certificate, root.key).value();
  const crypto::testing::Pair issuer{std::move(middle_key), middle};
  const auto [key, leaf] = make_leaf(issuer);
  const auto trust = TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto stranger = make_root();
  const auto other = TrustStore::from_certificates(std::span(&stranger.certificate, 1)).value();

  const std::vector whole{leaf, middle};
  EXPECT_EQ(find(judge_certificates(whole, "a.example.org", trust, kNow), "chain").verdict,
            Verdict::Ok);
  const Finding missing =
      find(judge_certificates(std::span(&leaf, 1), "a.example.org", trust, kNow), "chain");
  EXPECT_EQ(missing.verdict, Verdict::Wrong);
  EXPECT_NE(missing.text.find("intermediate certificate \"CN=Middle\" is missing"),
            std::string::npos);
  const Finding stops = find(judge_certificates(whole, "a.example.org", other, kNow), "chain");
  EXPECT_NE(stops.text.find("its issuer \"CN=Root\""), std::string::npos) << stops.text;
  const std::vector with_root{leaf, middle, root.certificate};
  const Finding ends = find(judge_certificates(with_root, "a.example.org", other, kNow), "chain");
  EXPECT_NE(ends.text.find("ends at \"CN=Root\""), std::string::npos) << ends.text;
}

TEST(Doctor, SeesInspection) {
  const auto root = make_root();
  const auto [key, leaf] = make_leaf(root);
  const std::vector<std::string> expected{leaf.sha256_hex()};
  const std::vector<std::string> others{root.certificate.sha256_hex()};
  EXPECT_EQ(judge_inspection(leaf, expected).verdict, Verdict::Ok);
  EXPECT_EQ(judge_inspection(leaf, others).verdict, Verdict::Wrong);
  EXPECT_EQ(judge_inspection(leaf, {}).verdict, Verdict::Skipped);
}

TEST(Doctor, SeesWhoStandsBetween) {
  const Fields direct{{"Via", "1.1 cdn"}, {"Via", "1.1 larder"}, {"Cache-Status", "larder; hit"}};
  EXPECT_EQ(judge_way(direct).verdict, Verdict::Ok);
  EXPECT_NE(judge_way(direct).text.find("one that stays silent cannot be seen"), std::string::npos)
      << "nothing that cannot be known";
  EXPECT_EQ(judge_way({{"Via", "1.1 larder, 1.1 squid"}, {"Cache-Status", "larder; hit"}}).verdict,
            Verdict::Wrong);
  EXPECT_EQ(judge_way({{"Server", "nginx"}}).verdict, Verdict::Wrong);
}

TEST(Doctor, ComparesClocks) {
  EXPECT_EQ(judge_clock("Fri, 15 Jan 2027 08:00:00 GMT", kNow).verdict, Verdict::Ok);
  EXPECT_EQ(judge_clock("Fri, 15 Jan 2027 08:00:59 GMT", kNow).verdict, Verdict::Ok);
  const Finding ahead = judge_clock("Fri, 15 Jan 2027 08:05:00 GMT", kNow);
  EXPECT_EQ(ahead.verdict, Verdict::Wrong);
  EXPECT_NE(ahead.text.find("300 s ahead"), std::string::npos) << ahead.text;
  EXPECT_NE(judge_clock("Fri, 15 Jan 2027 07:00:00 GMT", kNow).text.find("3600 s behind"),
            std::string::npos);
  EXPECT_EQ(judge_clock("", kNow).verdict, Verdict::Warning);
}

RangeRead part(std::uint64_t first, std::uint64_t last, std::string body) {
  return {.first = first,
          .last = last,
          .status = 206,
          .fields = {{"Content-Range", "bytes " + std::to_string(first) + "-" +
                                           std::to_string(first + body.size() - 1) + "/6"}},
          .body = std::move(body)};
}

TEST(Doctor, RangesMustBeExactAndTheSameTwice) {
  const RangeRead whole = part(0, 99, "abcdef");
  const std::vector good{part(0, 2, "abc"), part(3, 5, "def")};
  EXPECT_EQ(judge_ranges(whole, good).verdict, Verdict::Ok) << judge_ranges(whole, good).text;
  const std::vector changed{part(0, 2, "abc"), part(3, 5, "dxf")};
  EXPECT_NE(judge_ranges(whole, changed).text.find("differ"), std::string::npos);
  RangeRead all = whole;
  all.status = 200;
  EXPECT_NE(judge_ranges(all, {}).text.find("200"), std::string::npos);
  RangeRead shifted = whole;
  shifted.fields = {{"Content-Range", "bytes 1-5/6"}};
  EXPECT_EQ(judge_ranges(shifted, {}).verdict, Verdict::Wrong);
  RangeRead cut = whole;
  cut.body.pop_back();
  EXPECT_EQ(judge_ranges(cut, {}).verdict, Verdict::Wrong);
}

TEST(Doctor, JudgesSpeedAsDeliveryOptimizationDoes) {
  using std::chrono::seconds;
  EXPECT_EQ(judge_speed(1 << 20, seconds(1)).verdict, Verdict::Ok);
  EXPECT_EQ(judge_speed(500'000, seconds(20)).verdict, Verdict::Warning);
  EXPECT_EQ(judge_speed(50'000, seconds(20)).verdict, Verdict::Wrong);
}

TEST(Doctor, AHalfOpenNodeIsWrong) {
  const std::vector<Attempt> half{{"10.0.0.5", ""}, {"fd00::5", "Connection refused"}};
  EXPECT_EQ(judge_port(half, 443).verdict, Verdict::Wrong);
  EXPECT_EQ(judge_port(std::span(half).first(1), 443).verdict, Verdict::Ok);
}

}  // namespace
}  // namespace larder::agent
