#include "alerts/queue.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"

namespace larder::alerts {
namespace {

using std::chrono::seconds;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

Alert alert(const std::string& id) {
  return {.id = id,
          .at = kNow,
          .kind = "certificate-expires",
          .text = "text of " + id,
          .about = {{"certificate", "ab"}},
          .attempts = 0,
          .next_attempt = kNow};
}

TEST(AlertQueue, SurvivesARestart) {
  const base::TemporaryFolder folder;
  const std::string path = folder.path() + "/alerts.json";
  {
    auto queue = AlertQueue::open(path).value();
    queue.told["certificate-expiry"] = {{"ab", "14"}};
    queue.told["drive"] = {{"failing /mnt/a", ""}};
    EXPECT_FALSE(queue.add(alert("a")));
    EXPECT_FALSE(queue.add(alert("b")));
    ASSERT_TRUE(queue.failed("a", kNow));
    ASSERT_TRUE(queue.save());
  }
  auto queue = AlertQueue::open(path).value();
  EXPECT_EQ(queue.told["certificate-expiry"].at("ab"), "14");
  EXPECT_TRUE(queue.told["drive"].contains("failing /mnt/a"));
  ASSERT_EQ(queue.waiting().size(), 2U);
  EXPECT_EQ(queue.waiting()[0].about.at("certificate"), "ab");
  EXPECT_EQ(queue.waiting()[0].attempts, 1U);
  ASSERT_NE(queue.due(kNow), nullptr);
  EXPECT_EQ(queue.due(kNow)->id, "b") << "a waits for its next attempt";
  queue.delivered("b");
  EXPECT_EQ(queue.due(kNow), nullptr);
  EXPECT_EQ(queue.due(kNow + seconds(2))->id, "a");
  EXPECT_EQ(queue.due(kNow - std::chrono::hours(48))->id, "a") << "a clock that was set back";
}

TEST(AlertQueue, DamageIsSaid) {
  const base::TemporaryFolder folder;
  const std::string path = folder.path() + "/alerts.json";
  for (const char* text :
       {"", "{}", "[]", R"({"format": 3})", R"({"format": 1, "waiting": [{}]})",
        R"({"format": 2, "waiting": [{}]})", R"({"format": 2, "told": 1})",
        R"({"format": 2, "told": {"drive": []}})", R"({"format": 2, "told": {"drive": {"a": 1}}})",
        R"({"format": 1, "told": {"ab": "x"}})", R"({"format": 1, "revoked": [1]})"}) {
    ASSERT_TRUE(base::write_file_atomically(path, text, 0600));
    const auto queue = AlertQueue::open(path);
    ASSERT_FALSE(queue) << text;
    EXPECT_EQ(queue.error().code, base::ErrorCode::DataLoss);
  }
}

TEST(AlertQueue, TheOlderFormatIsUnderstood) {
  const base::TemporaryFolder folder;
  const std::string path = folder.path() + "/alerts.json";
  ASSERT_TRUE(base::write_file_atomically(
      path,
      R"({"format": 1, "told": {"ab": 14}, "revoked": ["cd"], "waiting": [{"id": "a",
          "at": "2027-01-15T08:00:00Z", "kind": "certificate-expires", "text": "soon",
          "certificate": "ab", "attempts": 2, "next_attempt": "2027-01-15T08:00:00Z"}]})",
      0600));
  auto queue = AlertQueue::open(path).value();
  EXPECT_EQ(queue.told["certificate-expiry"].at("ab"), "14");
  EXPECT_TRUE(queue.told["certificate-revoked"].contains("cd"));
  ASSERT_NE(queue.due(kNow), nullptr);
  EXPECT_EQ(queue.due(kNow)->about.at("certificate"), "ab");
  EXPECT_EQ(queue.due(kNow)->attempts, 2U);
  ASSERT_TRUE(queue.save());
  EXPECT_EQ(AlertQueue::open(path)->told, queue.told);
}

TEST(AlertQueue, AttemptsAndLengthAreBounded) {
  const base::TemporaryFolder folder;
  auto queue = AlertQueue::open(folder.path() + "/alerts.json").value();
  EXPECT_FALSE(queue.add(alert("a")));
  unsigned attempts = 1;
  seconds whole{0};
  while (queue.failed("a", kNow)) {
    whole += retry_pause(attempts);
    ++attempts;
  }
  EXPECT_EQ(attempts, AlertQueue::kAttemptsLimit);
  EXPECT_TRUE(queue.waiting().empty());
  EXPECT_GT(whole, std::chrono::hours(8)) << "a receiver may be down over night";
  for (int i = 0; i < 100; ++i) {
    const auto dropped = queue.add(alert(std::to_string(i)));
    ASSERT_EQ(dropped.has_value(), i >= 64);
    if (dropped) {
      EXPECT_EQ(dropped->id, std::to_string(i - 64));
    }
  }
  EXPECT_EQ(queue.waiting().size(), AlertQueue::kLimit);
  EXPECT_EQ(queue.waiting().back().id, "99");
}

TEST(AlertQueue, PausesGrow) {
  EXPECT_EQ(retry_pause(0), seconds(2));
  EXPECT_EQ(retry_pause(1), seconds(4));
  EXPECT_EQ(retry_pause(40), seconds(3600));
}

}  // namespace
}  // namespace larder::alerts
