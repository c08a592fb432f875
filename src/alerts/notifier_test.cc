#include "alerts/notifier.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>

#include "base/testing.h"

namespace larder::alerts {
namespace {

const base::WallTime kStart = base::from_unix_seconds(1'800'000'000);

class NotifierTest : public ::testing::Test {
 protected:
  NotifierSurroundings surroundings() {
    NotifierSurroundings made;
    made.state_file = folder_.path() + "/alerts.json";
    made.node = "node1";
    made.webhook = [this] { return WebhookSettings{.url = url_, .trust = {}, .secret = {}}; };
    made.send = [this](const client::HttpExchange&,
                       const client::HttpRequest& request) -> base::Result<client::HttpResponse> {
      const std::lock_guard lock(mutex_);
      if (request.body.contains("only wakes")) {
        return client::HttpResponse{.status = 204, .fields = {}, .body = {}};
      }
      bodies_.push_back(request.body);
      heard_.notify_all();
      return client::HttpResponse{.status = status_, .fields = {}, .body = {}};
    };
    return made;
  }
  void wait_for_bodies(std::size_t count) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(
        heard_.wait_for(lock, std::chrono::minutes(1), [&] { return bodies_.size() >= count; }));
  }
  static std::vector<News> news(const std::string& text) {
    return {{.kind = "drive-failing", .text = text, .about = {{"drive", "/mnt/a"}}}};
  }

  const base::TemporaryFolder folder_;
  base::ManualClock clock_{kStart};
  std::string url_ = "https://alerts.test/";
  std::mutex mutex_;
  std::condition_variable heard_;
  std::vector<std::string> bodies_;
  int status_ = 204;
};

TEST_F(NotifierTest, SourcesKeepApartWhatTheyTold) {
  {
    Notifier notifier(surroundings(), clock_);
    notifier.tell("drive", {{"a", "bad"}}, news("a is bad"));
    notifier.tell("certificate", {{"a", "7"}}, {});
    notifier.tell(news("by the way"));
    EXPECT_EQ(notifier.facts().waiting, 2U);
  }
  const Notifier after(surroundings(), clock_);
  EXPECT_EQ(after.told("drive"), (Told{{"a", "bad"}}));
  EXPECT_EQ(after.told("certificate"), (Told{{"a", "7"}}));
  EXPECT_EQ(after.told("other"), Told());
  EXPECT_EQ(after.facts().waiting, 2U) << "written before tell returned";
}

TEST_F(NotifierTest, DeliversInOrderAndForgetsWhatWasTaken) {
  Notifier notifier(surroundings(), clock_);
  notifier.tell("drive", {}, news("first"));
  notifier.tell("drive", {}, news("second\n"));
  notifier.start();
  wait_for_bodies(2);
  notifier.stop();
  EXPECT_NE(bodies_[0].find("\"text\":\"first\""), std::string::npos) << bodies_[0];
  EXPECT_NE(bodies_[1].find("\"text\":\"second?\""), std::string::npos) << bodies_[1];
  EXPECT_NE(bodies_[0].find("\"drive\":\"/mnt/a\""), std::string::npos) << bodies_[0];
  EXPECT_EQ(notifier.facts().waiting, 0U);
}

TEST_F(NotifierTest, AReceiverThatRefusesIsAskedAgainAndAtLastGivenUp) {
  status_ = 503;
  Notifier notifier(surroundings(), clock_);
  notifier.tell("drive", {}, news("first"));
  notifier.start();
  for (unsigned attempt = 1; attempt <= AlertQueue::kAttemptsLimit; ++attempt) {
    wait_for_bodies(attempt);
    clock_.advance(std::chrono::hours(2));
    notifier.tell("other", {}, {{.kind = "x", .text = "only wakes", .about = {}}});
  }
  notifier.stop();
  EXPECT_GE(notifier.facts().undelivered, 1U);
}

TEST_F(NotifierTest, AFileThatCannotBeWrittenIsLoggedOnceAndWrittenLater) {
  NotifierSurroundings elsewhere = surroundings();
  elsewhere.state_file = folder_.path() + "/later/alerts.json";
  ::testing::internal::CaptureStderr();
  {
    Notifier notifier(std::move(elsewhere), clock_);
    for (int i = 0; i < 5; ++i) notifier.tell("drive", {{"a", std::to_string(i)}}, {});
    ASSERT_TRUE(std::filesystem::create_directory(folder_.path() + "/later"));
    notifier.tell(news("by the way"));
    // The step writes before it waits for the next one, and a stop lets it end.
    notifier.start();
    notifier.stop();
    EXPECT_EQ(notifier.facts().waiting, 0U);
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  const auto count = [&](const std::string& text) {
    std::size_t found = 0;
    for (auto at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++found;
    return found;
  };
  EXPECT_EQ(count("cannot be kept"), 1U) << log;
  EXPECT_EQ(count("is kept again"), 1U) << log;
  NotifierSurroundings again = surroundings();
  again.state_file = folder_.path() + "/later/alerts.json";
  EXPECT_EQ(Notifier(std::move(again), clock_).told("drive"), (Told{{"a", "4"}}));
}

TEST_F(NotifierTest, AlertsThatAQueueHasNoRoomForAreCounted) {
  Notifier notifier(surroundings(), clock_);
  ::testing::internal::CaptureStderr();
  for (std::size_t i = 0; i < AlertQueue::kLimit + 3; ++i) notifier.tell(news("is bad"));
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(notifier.facts().waiting, AlertQueue::kLimit);
  EXPECT_EQ(notifier.facts().undelivered, 3U);
  EXPECT_NE(log.find("given up"), std::string::npos) << log;
}

TEST_F(NotifierTest, WithoutAReceiverNothingWaits) {
  url_.clear();
  Notifier notifier(surroundings(), clock_);
  notifier.tell("drive", {{"a", "bad"}}, news("a is bad"));
  EXPECT_EQ(notifier.facts().waiting, 0U);
  EXPECT_EQ(notifier.told("drive").size(), 1U);
}

}  // namespace
}  // namespace larder::alerts
