#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>

#include "net/loop.h"
#include "net/signal.h"
#include "net/socket.h"
#include "net/tls13_keys.h"
#include "net/worker_pool.h"

namespace larder::net {
namespace {

using namespace std::chrono_literals;

base::SteadyTime in(std::chrono::milliseconds duration) {
  return std::chrono::steady_clock::now() + duration;
}

// Runs the task to its end on a fresh loop.
template <typename Make>
void run(Make make) {
  Loop loop;
  const auto body = [](Loop& on, Make inner) -> Task<void> {
    co_await inner();
    on.stop();
  };
  loop.spawn(body(loop, make));
  loop.run();
}

TEST(Task, ReturnsValuesThroughNestedAwaits) {
  int seen = 0;
  const auto inner = [](int value) -> Task<int> { co_return value * 2; };
  run([&]() -> Task<void> { seen = co_await inner(co_await inner(10)); });
  EXPECT_EQ(seen, 40);
}

TEST(Socket, WaitEndsWhenBytesArriveAndAtTheDeadline) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  base::UniqueFd other(pair[1]);
  bool before = true;
  bool after = false;
  run([&]() -> Task<void> {
    Socket socket(Loop::current(), base::UniqueFd(pair[0]));
    before = co_await socket.readable(in(1ms));
    if (::write(other.get(), "x", 1) != 1) co_return;
    after = co_await socket.readable(in(10s));
  });
  EXPECT_FALSE(before);
  EXPECT_TRUE(after);
}

TEST(Socket, CancelEndsTheWaitAndAllLaterOnes) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  base::UniqueFd other(pair[1]);
  run([&]() -> Task<void> {
    Socket socket(Loop::current(), base::UniqueFd(pair[0]));
    Loop::current().post([&] { socket.cancel(); });
    EXPECT_FALSE(co_await socket.readable(in(1h)));
    EXPECT_FALSE(co_await socket.readable(in(1h)));
  });
}

TEST(Yield, LetsPostedWorkAndReadySocketsGoFirst) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
  base::UniqueFd other(pair[1]);
  std::string order;
  run([&]() -> Task<void> {
    Socket socket(Loop::current(), base::UniqueFd(pair[0]));
    const auto reader = [](Socket& from, std::string& to) -> Task<void> {
      if (co_await from.readable(in(10s))) to += "socket ";
    };
    Loop::current().spawn(reader(socket, order));
    Loop::current().post([&] { order += "posted "; });
    if (::write(other.get(), "x", 1) != 1) co_return;
    co_await yield();
    order += "yielded";
  });
  EXPECT_EQ(order, "socket posted yielded");
}

TEST(Yield, WhoYieldsTakesTurns) {
  std::string order;
  run([&]() -> Task<void> {
    const auto one = [](std::string& to, char letter) -> Task<void> {
      for (int i = 0; i < 3; ++i) {
        to += letter;
        co_await yield();
      }
    };
    Loop::current().spawn(one(order, 'a'));
    Loop::current().spawn(one(order, 'b'));
    co_await one(order, 'c');
  });
  EXPECT_EQ(order, "abcabcabc");
}

TEST(Signal, WakesWaitersOfEveryThreadOnce) {
  Signal signal;
  std::atomic<int> woken = 0;
  const std::uint64_t seen = signal.count();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      run([&]() -> Task<void> { woken += (co_await signal.wait(seen, in(10s))) ? 1 : 0; });
    });
  }
  signal.notify();
  threads.clear();
  EXPECT_EQ(woken, 4);
}

TEST(Signal, DoesNotLoseANotificationBetweenLookAndWait) {
  Signal signal;
  const std::uint64_t seen = signal.count();
  signal.notify();
  bool notified = false;
  run([&]() -> Task<void> { notified = co_await signal.wait(seen, in(10s)); });
  EXPECT_TRUE(notified);
}

TEST(Signal, EndsAtTheDeadline) {
  Signal signal;
  bool notified = true;
  run([&]() -> Task<void> { notified = co_await signal.wait(signal.count(), in(1ms)); });
  EXPECT_FALSE(notified);
}

TEST(WorkerPool, ReturnsTheResultOnTheLoop) {
  WorkerPool pool(2, 16);
  base::Result<std::thread::id> ran;
  std::thread::id resumed;
  run([&]() -> Task<void> {
    ran = co_await pool.run(
        []() -> base::Result<std::thread::id> { return std::this_thread::get_id(); });
    resumed = std::this_thread::get_id();
  });
  ASSERT_TRUE(ran);
  EXPECT_NE(*ran, std::this_thread::get_id());
  EXPECT_EQ(resumed, std::this_thread::get_id());
}

TEST(WorkerPool, RefusesWhenTheQueueIsFull) {
  WorkerPool pool(0, 0);
  base::Status outcome;
  run([&]() -> Task<void> { outcome = co_await pool.run([]() -> base::Status { return {}; }); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, base::ErrorCode::ResourceExhausted);
}

class PatientPool : public testing::Test {
 protected:
  ~PatientPool() override { release(); }
  // Work that does not come back until release().
  base::Result<int> hang() {
    released_.wait(false);
    return 1;
  }
  void release() {
    released_ = true;
    released_.notify_all();
  }
  std::atomic<bool> released_ = false;
  // What work refers to that runs on while the pool ends.
  std::atomic<int> told_ = 0;
  std::atomic<int> begun_ = 0;
  std::atomic<bool> ran_ = false;
  WorkerPool pool_{1, 16, WorkerPool::Patience{40ms, 20ms, 5ms, 3}};
};

TEST_F(PatientPool, SettlesWorkThatDoesNotComeBack) {
  base::Result<int> outcome;
  run([&]() -> Task<void> { outcome = co_await pool_.run([this] { return hang(); }); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, base::ErrorCode::DeadlineExceeded);
}

TEST_F(PatientPool, TellsAnOutcomeOnce) {
  ASSERT_TRUE(pool_.post([this] { return hang(); },
                         [this](const base::Result<int>&) {
                           ++told_;
                           told_.notify_all();
                         }));
  told_.wait(0);
  release();
  base::Result<int> later;
  run([&]() -> Task<void> { later = co_await pool_.run([]() -> base::Result<int> { return 2; }); });
  EXPECT_EQ(later, 2);
  EXPECT_EQ(told_, 1);
}

TEST_F(PatientPool, RunsOtherWorkWhileItsThreadsAreStuck) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(pool_.post([this] { static_cast<void>(hang()); }));
  ASSERT_TRUE(pool_.post([this] {
    ran_ = true;
    ran_.notify_all();
  }));
  ran_.wait(false);
}

TEST_F(PatientPool, HasNoMoreThreadsThanThat) {
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(pool_.post(
        [this] {
          ++begun_;
          return hang();
        },
        [this](const base::Result<int>&) {
          ++told_;
          told_.notify_all();
        }));
  }
  for (int seen = told_; seen < 8; seen = told_) told_.wait(seen);
  EXPECT_LE(begun_, 3);
  release();
}

class Tls13KeysTest : public testing::Test {
 protected:
  std::string seal(std::string_view first, std::string_view second = {}) {
    std::string record(first.size() + second.size() + Tls13Keys::kOverhead, '\0');
    EXPECT_EQ(seal_->seal(Tls13Keys::kData, first, second, record.data()), record.size());
    return record;
  }
  std::array<std::uint8_t, Tls13Keys::kSecret> secret_{1, 2, 3};
  std::unique_ptr<Tls13Keys> seal_ = Tls13Keys::create(Tls13Keys::Direction::Seal, secret_, 7);
  std::unique_ptr<Tls13Keys> open_ = Tls13Keys::create(Tls13Keys::Direction::Open, secret_, 7);
  Tls13Keys::Opened opened_;
};

TEST_F(Tls13KeysTest, OpensWhatWasSealedInOrder) {
  std::string one = seal("head", "body");
  std::string two = seal("", "x");
  ASSERT_TRUE(open_->open(one, opened_));
  EXPECT_EQ(opened_.content, "headbody");
  EXPECT_EQ(opened_.type, Tls13Keys::kData);
  ASSERT_TRUE(open_->open(two, opened_));
  EXPECT_EQ(opened_.content, "x");
}

TEST_F(Tls13KeysTest, RefusesARecordThatWasChangedOrComesAgain) {
  const std::string record = seal("secret");
  for (std::size_t i = 0; i < record.size(); ++i) {
    std::string forged = record;
    forged[i] = static_cast<char>(forged[i] ^ 1);
    EXPECT_FALSE(open_->open(forged, opened_)) << "byte " << i;
  }
  std::string right = record;
  EXPECT_TRUE(open_->open(right, opened_));
  std::string again = record;
  EXPECT_FALSE(open_->open(again, opened_));
  std::string cut = record.substr(0, Tls13Keys::kOverhead - 1);
  EXPECT_FALSE(open_->open(cut, opened_));
}

TEST_F(Tls13KeysTest, BothSidesUpdateToTheSameKeys) {
  ASSERT_TRUE(seal_->update());
  std::string early = seal("x");
  EXPECT_FALSE(open_->open(early, opened_)) << "still the old keys";
  ASSERT_TRUE(open_->update());
  ASSERT_TRUE(seal_->update());
  ASSERT_TRUE(open_->update());
  std::string record = seal("after");
  ASSERT_TRUE(open_->open(record, opened_));
  EXPECT_EQ(opened_.content, "after");
}

}  // namespace
}  // namespace larder::net
