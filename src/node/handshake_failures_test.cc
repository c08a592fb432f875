#include "node/handshake_failures.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

using std::chrono::seconds;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

TEST(HandshakeFailures, CausesAreLabels) {
  EXPECT_EQ(failure_cause("tlsv1 alert unknown ca"), "unknown_ca");
  EXPECT_EQ(failure_cause("sslv3 alert certificate unknown"), "certificate_unknown");
  EXPECT_EQ(failure_cause("closed by the client"), "closed_by_the_client");
  EXPECT_EQ(failure_cause("\"}\n"), "___");
  EXPECT_EQ(failure_cause(""), "unknown");
  EXPECT_LE(failure_cause(std::string(1000, 'x')).size(), 48U);
  EXPECT_TRUE(is_refusal("unknown_ca"));
  EXPECT_FALSE(is_refusal("no_shared_cipher"));
}

TEST(HandshakeFailures, ReportsRefusalsOnceAMinute) {
  HandshakeFailures failures;
  EXPECT_FALSE(failures.add("10.0.0.1", "no shared cipher", "", kNow));
  EXPECT_TRUE(failures.take_reports(kNow).empty());
  EXPECT_TRUE(failures.add("10.0.0.1", "tlsv1 alert unknown ca", "a", kNow));
  auto reports = failures.take_reports(kNow);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].certificate, "a");
  EXPECT_EQ(reports[0].refusals.at("unknown_ca"), 1U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(failures.add("10.0.0.2", "tlsv1 alert unknown ca", "a", kNow + seconds(30)));
  }
  EXPECT_TRUE(failures.take_reports(kNow + seconds(59)).empty());
  reports = failures.take_reports(kNow + seconds(60));
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].refusals.at("unknown_ca"), 100U);
  EXPECT_EQ(reports[0].address, "10.0.0.2");
  EXPECT_EQ(failures.refusing_clients(kNow).at("a"), 2U);
  EXPECT_EQ(failures.refusing_clients(kNow + seconds(1)).at("a"), 1U);
}

TEST(HandshakeFailures, ReportsEachCertificateWithItsCauses) {
  HandshakeFailures failures;
  failures.add("10.0.0.1", "unknown CA", "a", kNow);
  failures.add("10.0.0.2", "bad certificate", "a", kNow);
  failures.add("10.0.0.3", "certificate expired", "b", kNow);
  const auto reports = failures.take_reports(kNow);
  ASSERT_EQ(reports.size(), 2U);
  using Causes = std::map<std::string, std::uint64_t>;
  EXPECT_EQ(reports[0].refusals, (Causes{{"bad_certificate", 1}, {"unknown_ca", 1}}));
  EXPECT_EQ(reports[1].certificate, "b");
  EXPECT_EQ(reports[1].refusals, (Causes{{"certificate_expired", 1}}));
}

TEST(HandshakeFailures, ClientThatRefusedHasDoneSoWhateverItFailedByLater) {
  HandshakeFailures failures;
  failures.add("10.0.0.1", "unknown CA", "a", kNow);
  failures.add("10.0.0.1", "closed by the client", "", kNow + seconds(5));
  EXPECT_EQ(failures.refusing_clients(kNow).at("a"), 1U);
  EXPECT_TRUE(failures.refusing_clients(kNow + seconds(1)).empty());
  EXPECT_EQ(failures.facts().clients.at(0).cause, "closed_by_the_client");
}

TEST(HandshakeFailures, CountsClientsThatCloseSilentlyApart) {
  HandshakeFailures failures;
  EXPECT_FALSE(failures.add_silent("10.0.0.1", "a", kNow));
  EXPECT_FALSE(failures.add_silent("10.0.0.1", "a", kNow + seconds(1)));
  EXPECT_FALSE(failures.add_silent("10.0.0.2", "a", kNow + seconds(2)));
  EXPECT_FALSE(failures.add_silent("10.0.0.4", "b", kNow + seconds(2)));
  EXPECT_TRUE(failures.add_silent("10.0.0.3", "a", kNow + seconds(3)));
  EXPECT_FALSE(failures.add_silent("10.0.0.3", "a", kNow + seconds(4)));
  EXPECT_EQ(failures.silent_clients(kNow).at("a"), 3U);
  EXPECT_EQ(failures.silent_clients(kNow + seconds(2)).at("a"), 2U);
  const auto facts = failures.facts();
  EXPECT_EQ(facts.silent_connections, 6U);
  EXPECT_EQ(facts.silent.front().address, "10.0.0.3");
  EXPECT_TRUE(facts.by_cause.empty());
  EXPECT_TRUE(failures.take_reports(kNow).empty());
}

TEST(HandshakeFailures, IsBounded) {
  HandshakeFailures failures;
  for (int i = 0; i < 1000; ++i) {
    const std::string number = std::to_string(i);
    failures.add("10.0.0." + number, "cause " + number, "", kNow + seconds(i));
    failures.add_silent("10.0.1." + number, number, kNow + seconds(i));
  }
  const auto facts = failures.facts();
  EXPECT_EQ(facts.clients.size(), 256U);
  EXPECT_EQ(facts.clients.front().address, "10.0.0.999");
  EXPECT_EQ(facts.clients.back().address, "10.0.0.744") << "the least recent went";
  EXPECT_LE(facts.by_cause.size(), 33U);
  EXPECT_EQ(facts.by_cause.at("other"), 1000U - 32U);
  EXPECT_EQ(facts.silent.size(), 256U);
  for (int i = 0; i < 100; ++i) failures.add("10.0.0.1", "unknown CA", std::to_string(i), kNow);
  EXPECT_LE(failures.take_reports(kNow).size(), 33U);
}

}  // namespace
}  // namespace larder::node
