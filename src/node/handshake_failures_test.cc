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
  EXPECT_FALSE(failures.add("10.0.0.1", "no shared cipher", kNow));
  EXPECT_FALSE(failures.take_report(kNow));
  EXPECT_TRUE(failures.add("10.0.0.1", "tlsv1 alert unknown ca", kNow));
  auto report = failures.take_report(kNow);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->refusals, 1U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(failures.add("10.0.0.2", "tlsv1 alert unknown ca", kNow + seconds(30)));
  }
  EXPECT_FALSE(failures.take_report(kNow + seconds(59)));
  report = failures.take_report(kNow + seconds(60));
  ASSERT_TRUE(report);
  EXPECT_EQ(report->refusals, 100U);
  EXPECT_EQ(report->address, "10.0.0.2");
  EXPECT_EQ(failures.refusing_clients(kNow), 2U);
  EXPECT_EQ(failures.refusing_clients(kNow + seconds(1)), 1U);
}

TEST(HandshakeFailures, IsBounded) {
  HandshakeFailures failures;
  for (int i = 0; i < 1000; ++i) {
    failures.add("10.0.0." + std::to_string(i), "cause " + std::to_string(i), kNow + seconds(i));
  }
  const auto facts = failures.facts();
  EXPECT_EQ(facts.clients.size(), 256U);
  EXPECT_EQ(facts.clients.front().address, "10.0.0.999");
  EXPECT_EQ(facts.clients.back().address, "10.0.0.744") << "the least recent went";
  EXPECT_LE(facts.by_cause.size(), 33U);
  EXPECT_EQ(facts.by_cause.at("other"), 1000U - 32U);
}

}  // namespace
}  // namespace larder::node
