// How a fill begins: what the first answer makes of it, and who joins it.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "cache/testing.h"

namespace larder::cache::testing {
namespace {

using FillOpening = FillTest;

TEST_F(FillOpening, WhatWasPurgedWhileItWasStoredIsReadAndNotFoundAgain) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, [](const http::ResponseHead& head) {
    Opening opening = judge(head);
    opening.is_outdated = [] { return true; };
    return opening;
  }));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 3 * kSliceSize)));
  await_object(fill);
  send(0, 0, 3 * kSliceSize);
  EXPECT_FALSE(store->contains(kKey));
  EXPECT_EQ(store->find(kKey), nullptr);
}

TEST_F(FillOpening, WhoComesAfterAPurgeDoesNotJoin) {
  std::atomic<bool> is_purged = false;
  const auto judge_both = [&](const http::ResponseHead& head) {
    Opening opening = judge_stream(head);
    opening.is_outdated = [&] { return is_purged.load(); };
    return opening;
  };
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge_both));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_without_length()));
  EXPECT_EQ(reader().operator->(), fill.operator->());
  is_purged = true;
  EXPECT_NE(reader().operator->(), fill.operator->());
}

TEST_F(FillOpening, NobodyJoinsAStreamThatHasFailed) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge_stream));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_without_length()));
  const auto first = fill->stream()->join();
  EXPECT_TRUE(first);
  origin.at(0).sink->on_end(broken());
  EXPECT_FALSE(fill->stream()->join());
}

TEST_F(FillOpening, WhoComesAfterAnAnswerThatIsNotSharedAsksAnew) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  fill->drop_pass();
  const Fill* joined = fill.operator->();
  // In the middle of it: the answer is known, and the table has not forgotten the fill yet.
  origin.on_cancel = [&] { joined = reader().operator->(); };
  origin.at(0).sink->on_head(head_of(503, std::nullopt, 0));
  EXPECT_TRUE(origin.at(0).was_cancelled);
  EXPECT_NE(joined, fill.operator->());
}

TEST_F(FillOpening, WhoFindsTheNewObjectJoinsTheFillThatMakesIt) {
  for (std::uint64_t number = 0; number < 300; ++number) {
    const store::Key key{9, number};
    const Fill::Reader opener = table.open(key, IdentityRule::Standard);
    ASSERT_TRUE(opener->open(request(), std::nullopt, judge));
    std::thread finder([&] {
      std::shared_ptr<store::Object> found;
      while (!found) found = store->find_open(key);
      const StoredResponse response;
      const Fill::Reader joined = table.complete(key, found, response, IdentityRule::Standard);
      EXPECT_EQ(joined.operator->(), opener.operator->());
    });
    const std::shared_ptr<OriginSink> sink = origin.at(number).sink;
    ASSERT_TRUE(sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
    finder.join();
  }
  EXPECT_EQ(origin.ranges().size(), 300U);
}

TEST_F(FillOpening, WhoMayNotUseWhatIsThereJoinsOnlyWhileItComes) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(fill);
  const std::shared_ptr<store::Object> object = fill->object();
  const auto asks_for_newer = [&] {
    return table.open(kKey, IdentityRule::Standard, object).operator->();
  };
  const auto completes = [&] {
    return table.complete(kKey, object, {}, IdentityRule::Standard).operator->();
  };
  send(0, 0, 2 * kSliceSize - 1);
  EXPECT_TRUE(fill->has({0, 0}));
  EXPECT_FALSE(fill->has({0, 1}));
  EXPECT_EQ(asks_for_newer(), fill.operator->());
  send(0, 2 * kSliceSize - 1, 1);
  EXPECT_TRUE(fill->has({0, 1}));
  const Fill::Reader newer = table.open(kKey, IdentityRule::Standard, object);
  EXPECT_NE(newer.operator->(), fill.operator->());
  // What it has is found by the generation all the same.
  EXPECT_EQ(completes(), fill.operator->());
  EXPECT_EQ(origin.ranges().size(), 1U);
}

// Its date is set while time goes on.
class ClockThatIsSet final : public base::Clock {
 public:
  base::WallTime wall() const override { return base::from_unix_seconds(wall_); }
  base::SteadyTime steady() const override {
    return base::SteadyTime{} + std::chrono::seconds(steady_);
  }
  void set_by(std::int64_t seconds) { wall_ += seconds; }
  void pass(std::int64_t seconds) {
    wall_ += seconds;
    steady_ += seconds;
  }

 private:
  std::atomic<std::int64_t> wall_{1'800'000'000};
  std::atomic<std::int64_t> steady_{1'000};
};

TEST_F(FillOpening, WhoComesLateDoesNotJoinHoweverTheClockIsSet) {
  for (const std::int64_t step : {-3600, 0, 3600}) {
    ClockThatIsSet set;
    FillTable own{origin, *store, *disk, set};
    const store::Key key{12, static_cast<std::uint64_t>(step + 3600)};
    const Fill::Reader fill = own.open(key, IdentityRule::Standard);
    ASSERT_TRUE(fill->open(request(), std::nullopt, [&set](const http::ResponseHead& head) {
      Opening opening = judge(head);
      opening.response.response_time = set.wall();
      return opening;
    }));
    const auto sink = origin.at(origin.ranges().size() - 1).sink;
    ASSERT_TRUE(sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
    await_disk();
    const std::shared_ptr<store::Object> object = fill->object();
    ASSERT_TRUE(object);
    const auto asks_for_newer = [&] {
      return own.open(key, IdentityRule::Standard, object).operator->();
    };
    set.set_by(step);
    set.pass(4);
    EXPECT_TRUE(fill->is_new(set.steady())) << step;
    EXPECT_EQ(asks_for_newer(), fill.operator->()) << step;
    set.pass(2);
    EXPECT_FALSE(fill->is_new(set.steady())) << step;
    EXPECT_NE(asks_for_newer(), fill.operator->()) << step;
    origin.end_all();
    await_disk();
  }
}

TEST_F(FillOpening, AStopDoesNotWaitForAStreamToBeStored) {
  for (const bool stopped : {false, true}) {
    const store::Key key{11, stopped ? 1U : 0U};
    const Fill::Reader fill = table.open(key, IdentityRule::Standard);
    ASSERT_TRUE(fill->open(request(), std::nullopt, judge_stream));
    const std::shared_ptr<OriginSink> sink = origin.at(stopped ? 1 : 0).sink;
    ASSERT_TRUE(sink->on_head(head_without_length()));
    ASSERT_EQ(sink->on_body(pattern(kSeed, 0, 2 * kSliceSize)), OriginSink::Next::Continue);
    if (stopped) table.stop();
    sink->on_end({});
    // Forgotten when it is stored or given up.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (table.size() > 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_EQ(store->contains(key), !stopped);
  }
}

// A fill whose drive does not come back before patience has ended.
class FillOnAStuckDrive : public FillTest {
 protected:
  FillOnAStuckDrive() {
    EXPECT_TRUE(slow.post([this] { is_free.wait(false); }));
  }
  void free() {
    is_free = true;
    is_free.notify_all();
    ASSERT_TRUE(slow.post([this] { is_done = true; }));
    await([this] { return is_done.load(); });
  }
  template <typename Condition>
  static void await(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    ASSERT_TRUE(condition());
  }
  void TearDown() override {
    for (std::atomic<bool>* each : {&is_free, &is_free_again}) {
      *each = true;
      each->notify_all();
    }
    FillTest::TearDown();
  }

  // Work may look at these until the pool has ended.
  std::atomic<bool> is_free = false;
  std::atomic<bool> is_free_again = false;
  std::atomic<bool> is_done = false;
  net::WorkerPool slow{1, 64,
                       net::WorkerPool::Patience{.for_outcome = std::chrono::seconds(1),
                                                 .for_thread = std::chrono::hours(1),
                                                 .between_looks = std::chrono::milliseconds(5),
                                                 .most_threads = 1}};
  FillTable on_stuck{origin, *store, slow, clock};
};

TEST_F(FillOnAStuckDrive, GoesOnWithoutItsObject) {
  const Fill::Reader fill = on_stuck.open(kKey, IdentityRule::Standard);
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  const std::shared_ptr<OriginSink> sink = origin.at(0).sink;
  ASSERT_TRUE(sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await([&] { return fill->stream() != nullptr; });
  const auto client = fill->stream()->join();
  free();
  EXPECT_FALSE(fill->object());
  EXPECT_FALSE(store->contains(kKey)) << "it came too late, and nothing would be put into it";
  ASSERT_EQ(sink->on_body(pattern(kSeed, 0, 2 * kSliceSize)), OriginSink::Next::Continue);
  sink->on_end({});
  await([&] { return store->contains(kKey) && on_stuck.size() == 0; });
}

TEST_F(FillOnAStuckDrive, IsForgottenWhenWhatCameCannotBeStored) {
  const Fill::Reader fill = on_stuck.open(kKey, IdentityRule::Standard);
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge_stream));
  const std::shared_ptr<OriginSink> sink = origin.at(0).sink;
  ASSERT_TRUE(sink->on_head(head_without_length()));
  ASSERT_EQ(sink->on_body(pattern(kSeed, 0, 2 * kSliceSize)), OriginSink::Next::Continue);
  sink->on_end({});
  EXPECT_GT(on_stuck.size(), 0);
  await([&] { return on_stuck.size() == 0; });
  free();
  EXPECT_EQ(on_stuck.size(), 0);
  EXPECT_FALSE(store->contains(kKey));
}

TEST_F(FillOnAStuckDrive, KeepsWhatIsNotWritten) {
  is_free = true;
  is_free.notify_all();
  const Fill::Reader fill = on_stuck.open(kKey, IdentityRule::Standard);
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await([&] { return fill->object() != nullptr; });
  fill.ask(request(), {0, 1});
  ASSERT_TRUE(slow.post([this] { is_free_again.wait(false); }));
  send(0, 0, 2 * kSliceSize);
  await([&] { return on_stuck.drives_refuse(); });
  const auto got = slice(fill, 1, std::chrono::seconds(30));
  ASSERT_TRUE(got && *got);
  EXPECT_TRUE((*got)->is_complete());
}

TEST_F(FillOpening, WhoFindsAStreamThatIsBeingStoredJoinsItsFill) {
  const auto bytes = pattern(kSeed, 0, 4 * kSliceSize);
  for (std::uint64_t number = 0; number < 20; ++number) {
    const store::Key key{9, number};
    const Fill::Reader opener = table.open(key, IdentityRule::Standard);
    ASSERT_TRUE(opener->open(request(), std::nullopt, judge_stream));
    const std::shared_ptr<OriginSink> sink = origin.at(number).sink;
    ASSERT_TRUE(sink->on_head(head_without_length()));
    ASSERT_EQ(sink->on_body(bytes), OriginSink::Next::Continue);
    std::thread finder([&] {
      std::shared_ptr<store::Object> found;
      while (!found) found = store->find_open(key);
      if (found->has_slice(3)) return;
      const StoredResponse response;
      const Fill::Reader joined = table.complete(key, found, response, IdentityRule::Standard);
      EXPECT_TRUE(joined.operator->() == opener.operator->() || found->has_slice(3));
    });
    sink->on_end({});
    finder.join();
  }
}

TEST_F(FillOpening, CapThatCannotFeedItRefusesTheFill) {
  origin.admits = false;
  const Fill::Reader fill = reader();
  EXPECT_TRUE(fill->open(request(), std::nullopt, judge));
  EXPECT_TRUE(is_refused_by_cap(fill->error()));
  EXPECT_TRUE(origin.ranges().empty());
}

TEST_F(FillOpening, RangeThatDoesNotOpenTheObjectIsAskedAgainWithoutIt) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request("/empty", true), std::nullopt, judge));
  EXPECT_FALSE(origin.at(0).sink->on_head(head_of(416, std::nullopt, 0)));
  origin.at(0).sink->on_end(broken());
  EXPECT_EQ(origin.ranges(), (std::vector<std::string>{"bytes=0-4194303", ""}));
}

TEST_F(FillOpening, PartOfAShortObjectThatCannotBeAddedToIsAskedAgainAsTheWhole) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), SliceRange{1, 1}, judge));
  const http::ByteRange part{kSliceSize, 2 * kSliceSize - 1};
  EXPECT_FALSE(origin.at(0).sink->on_head(head_of(206, part, 8 * kSliceSize, "W/\"one\"")));
  origin.at(0).sink->on_end(broken());
  ASSERT_EQ(origin.ranges(), (std::vector<std::string>{"bytes=1048576-2097151", ""}));
  ASSERT_TRUE(origin.at(1).sink->on_head(head_of(200, std::nullopt, 8 * kSliceSize, "W/\"one\"")));
  await_object(fill);
}

TEST_F(FillOpening, PartOfALongObjectThatCannotBeAddedToIsPassedOn) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), SliceRange{1, 1}, judge));
  const http::ByteRange part{kSliceSize, 2 * kSliceSize - 1};
  EXPECT_TRUE(origin.at(0).sink->on_head(head_of(206, part, 8 * kSliceSize + 1, "W/\"one\"")));
  EXPECT_TRUE(fill->pass());
  EXPECT_EQ(origin.ranges().size(), 1u);
}

// More than the store takes.
Opening judge_too_much(const http::ResponseHead& head) {
  Opening opening = judge(head);
  opening.metadata = std::string(100 * 1024, 'm');
  return opening;
}

TEST_F(FillOpening, WhatTheStoreDoesNotTakeIsSharedFromMemory) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge_too_much));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 32 * kSliceSize)));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!fill->stream() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  ASSERT_TRUE(fill->stream());
  const Fill::Reader second = reader();
  EXPECT_FALSE(second->open(request(), std::nullopt, judge_too_much));
  EXPECT_TRUE(fill->stream()->join());
  EXPECT_TRUE(second->stream()->join());
  EXPECT_EQ(origin.ranges().size(), 1u);
}

TEST_F(FillOpening, WhatFindsTheDiskQueueFullIsForOneAndNobodyWaits) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  const Fill::Reader second = reader();
  std::atomic<bool> is_busy = false;
  std::atomic<bool> may_go_on = false;
  ASSERT_TRUE(disk->post([&] {
    is_busy = true;
    while (!may_go_on) std::this_thread::yield();
  }));
  while (!is_busy) std::this_thread::yield();
  while (disk->post([] {})) {
  }
  EXPECT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  EXPECT_TRUE(fill->pass());
  EXPECT_EQ(second->head().status, 200) << "it has the answer, which is not for it";
  EXPECT_EQ(origin.at(0).sink->on_body(pattern(kSeed, 0, 1024)), OriginSink::Next::Continue);
  EXPECT_EQ(table.size(), 0U) << "the next one opens anew";
  may_go_on = true;
  await_disk();
}

TEST_F(FillOpening, WhatNeitherTheStoreNorMemoryTakesIsForOne) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge_too_much));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 32 * kSliceSize + 1)));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!fill->pass() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(fill->pass());
  EXPECT_FALSE(fill->stream());
}

}  // namespace
}  // namespace larder::cache::testing
