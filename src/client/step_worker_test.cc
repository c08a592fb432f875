#include "client/step_worker.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>

#include "base/unique_fd.h"

namespace larder::client {
namespace {

// Long enough that only a wake, an interrupt or a stop ends it.
constexpr std::chrono::minutes kLong{10};

// Takes connections and never answers.
class SilentServer {
 public:
  SilentServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    port_ = ntohs(address.sin_port);
  }

  // One whose answer is waited for until somebody ends that.
  HttpRequest request() const {
    HttpRequest made;
    made.url = "http://127.0.0.1:" + std::to_string(port_) + "/";
    made.timeout = kLong;
    return made;
  }
  // Blocks until a request has arrived.
  base::UniqueFd take() const {
    base::UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char byte = 0;
    EXPECT_EQ(::recv(peer.get(), &byte, 1, 0), 1);
    return peer;
  }

 private:
  base::UniqueFd listener_;
  std::uint16_t port_ = 0;
};

// What the worker's thread has seen, for the test's.
class Events {
 public:
  void add(const std::string& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    changed_.notify_all();
  }
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1),
                             [&] { return events_.size() >= count; });
  }
  std::vector<std::string> all() {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> events_;
};

std::string outcome(const base::Result<HttpResponse>& answer) {
  return answer ? "answered" : "failed";
}

using All = std::vector<std::string>;

TEST(StepWorker, RunsAtOnceAndAfterTheDelay) {
  Events events;
  StepWorker worker([&](const HttpExchange&) {
    events.add("run");
    return std::chrono::milliseconds(1);
  });
  EXPECT_EQ(events.all(), All()) << "not before the start";
  worker.start();
  EXPECT_TRUE(events.wait_for(3));
}

TEST(StepWorker, AWakeDuringARunMakesOneMore) {
  Events events;
  std::mutex in_run;
  in_run.lock();
  StepWorker worker([&](const HttpExchange&) {
    events.add("run");
    const std::lock_guard until_told(in_run);
    return std::chrono::milliseconds(kLong);
  });
  worker.start();
  EXPECT_TRUE(events.wait_for(1));
  worker.wake();
  worker.wake();
  in_run.unlock();
  EXPECT_TRUE(events.wait_for(2));
  // While it waits.
  worker.wake();
  EXPECT_TRUE(events.wait_for(3));
  worker.stop();
  EXPECT_EQ(events.all().size(), 3U) << "the two wakes during one run made one";
}

TEST(StepWorker, AnInterruptFailsTheExchangeAndTheNextOneWorks) {
  const SilentServer server;
  Events events;
  StepWorker worker([&](const HttpExchange& exchange) {
    events.add(outcome(exchange(server.request())));
    return std::chrono::milliseconds(kLong);
  });
  worker.start();
  const base::UniqueFd first = server.take();
  worker.interrupt();
  EXPECT_TRUE(events.wait_for(1));
  // The run after it has an exchange of its own.
  const base::UniqueFd second = server.take();
  constexpr std::string_view kAnswer = "HTTP/1.1 204 No Content\r\n\r\n";
  EXPECT_EQ(::send(second.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(kAnswer.size()));
  EXPECT_TRUE(events.wait_for(2));
  worker.stop();
  EXPECT_EQ(events.all(), (All{"failed", "answered"}));
}

TEST(StepWorker, AStopEndsTheExchangeAndEveryPause) {
  const SilentServer server;
  Events events;
  std::optional<StepWorker> worker;
  worker.emplace([&](const HttpExchange& exchange) {
    events.add(outcome(exchange(server.request())));
    events.add(outcome(exchange(server.request())));
    events.add(worker->pause(kLong) ? "paused" : "not paused");
    return std::chrono::milliseconds(kLong);
  });
  worker->start();
  const base::UniqueFd peer = server.take();
  worker->stop();
  worker->stop();
  EXPECT_EQ(events.all(), (All{"failed", "failed", "not paused"})) << "of one run";
}

TEST(StepWorker, AWorkerThatWasNotStartedStops) {
  Events events;
  {
    StepWorker worker([&](const HttpExchange&) {
      events.add("run");
      return std::chrono::milliseconds(kLong);
    });
    worker.interrupt();
    worker.stop();
  }
  EXPECT_EQ(events.all(), All());
}

}  // namespace
}  // namespace larder::client
