#include "node/alert_queue.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"

namespace larder::node {
namespace {

using std::chrono::seconds;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

Alert alert(const std::string& id) {
  return {.id = id,
          .at = kNow,
          .kind = "certificate-expires",
          .text = "text of " + id,
          .certificate = "ab",
          .attempts = 0,
          .next_attempt = kNow};
}

TEST(AlertQueue, SurvivesARestart) {
  const base::TemporaryFolder folder;
  const std::string path = folder.path() + "/alerts.json";
  {
    auto queue = AlertQueue::open(path).value();
    queue.told = {{"ab", 14}};
    queue.revoked = {"cd"};
    queue.add(alert("a"));
    queue.add(alert("b"));
    ASSERT_TRUE(queue.failed("a", kNow));
    ASSERT_TRUE(queue.save());
  }
  auto queue = AlertQueue::open(path).value();
  EXPECT_EQ(queue.told.at("ab"), 14);
  EXPECT_TRUE(queue.revoked.contains("cd"));
  ASSERT_EQ(queue.waiting().size(), 2U);
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
  for (const char* text : {"", "{}", "{\"format\": 1, \"waiting\": [{}]}", "[]"}) {
    ASSERT_TRUE(base::write_file_atomically(path, text, 0600));
    const auto queue = AlertQueue::open(path);
    ASSERT_FALSE(queue) << text;
    EXPECT_EQ(queue.error().code, base::ErrorCode::DataLoss);
  }
}

TEST(AlertQueue, AttemptsAndLengthAreBounded) {
  const base::TemporaryFolder folder;
  auto queue = AlertQueue::open(folder.path() + "/alerts.json").value();
  queue.add(alert("a"));
  unsigned attempts = 1;
  seconds whole{0};
  while (queue.failed("a", kNow)) {
    whole += retry_pause(attempts);
    ++attempts;
  }
  EXPECT_EQ(attempts, AlertQueue::kAttemptsLimit);
  EXPECT_TRUE(queue.waiting().empty());
  EXPECT_GT(whole, std::chrono::hours(8)) << "a receiver may be down over night";
  for (int i = 0; i < 100; ++i) queue.add(alert(std::to_string(i)));
  EXPECT_EQ(queue.waiting().size(), AlertQueue::kLimit);
  EXPECT_EQ(queue.waiting().back().id, "99");
}

TEST(AlertQueue, PausesGrow) {
  EXPECT_EQ(retry_pause(0), seconds(2));
  EXPECT_EQ(retry_pause(1), seconds(4));
  EXPECT_EQ(retry_pause(40), seconds(3600));
}

}  // namespace
}  // namespace larder::node
