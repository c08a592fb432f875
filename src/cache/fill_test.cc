#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "base/encoding.h"
#include "cache/fill_table.h"
#include "http/range.h"
#include "net/loop.h"
#include "store/testing.h"

namespace larder::cache {
namespace {

using store::kSliceSize;
using store::testing::pattern;

constexpr store::Key kKey{1, 2};
constexpr std::uint64_t kSeed = 7;

// Keeps what was asked; the test answers.
class FakeOrigin final : public Origin {
 public:
  struct Asked {
    OriginRequest request;
    std::shared_ptr<OriginSink> sink;
    bool was_cancelled = false;

    std::string field(std::string_view name) const {
      for (const auto& [key, value] : request.fields) {
        if (key == name) return value;
      }
      return {};
    }
  };

  FetchId fetch(OriginRequest request, std::shared_ptr<OriginSink> sink) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back({std::move(request), std::move(sink)});
    return asked_.size();
  }
  void resume(FetchId) override {}
  void cancel(FetchId id) override {
    {
      const std::lock_guard lock(mutex_);
      asked_[id - 1].was_cancelled = true;
    }
    if (on_cancel) on_cancel();
  }
  Permit admit(const std::string& host, bool must) override {
    return admits || must ? Origin::admit(host, must) : nullptr;
  }

  Asked at(std::size_t index) const {
    const std::lock_guard lock(mutex_);
    return asked_.at(index);
  }
  std::vector<std::string> ranges() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> found;
    for (const Asked& asked : asked_) found.push_back(asked.field("Range"));
    return found;
  }

  // As every origin does in the end: a sink and its fill hold each other until then.
  void end_all() {
    for (std::size_t i = 0;; ++i) {
      std::shared_ptr<OriginSink> sink;
      {
        const std::lock_guard lock(mutex_);
        if (i == asked_.size()) return;
        sink = std::move(asked_[i].sink);
      }
      if (sink) sink->on_end(base::fail(base::ErrorCode::Unavailable, "the test is over"));
    }
  }

  bool admits = true;
  std::function<void()> on_cancel;

 private:
  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
};

http::ResponseHead head_of(int status, std::optional<http::ByteRange> range, std::uint64_t length,
                           std::string etag = "\"one\"") {
  http::ResponseHead head;
  head.status = status;
  head.fields = {{.name = "ETag", .value = std::move(etag), .id = http::FieldName::ETag}};
  if (range) head.content_range = {.range = range, .length = length};
  head.content_length = range ? range->length() : length;
  return head;
}

Opening judge(const http::ResponseHead& head) {
  Opening opening;
  opening.storable = head.status == 200 || head.status == 206;
  opening.metadata = "metadata";
  opening.response.fields = head.fields;
  opening.response.length = complete_length(head);
  opening.response.generation = identify(head, IdentityRule::Standard, {});
  return opening;
}

http::ResponseHead head_without_length() {
  http::ResponseHead head = head_of(200, std::nullopt, 0);
  head.content_length.reset();
  head.chunked = true;
  return head;
}

Opening judge_stream(const http::ResponseHead& head) {
  Opening opening = judge(head);
  opening.lacks_length = !head.content_length;
  opening.storable = !opening.lacks_length;
  return opening;
}

class FillTest : public ::testing::Test {
 protected:
  static OriginRequest request(std::string target = "/x", bool serves_ranges = false) {
    OriginRequest made;
    made.host = "a.example";
    made.target = std::move(target);
    made.serves_ranges = serves_ranges;
    return made;
  }
  Fill::Reader reader() { return table.acquire(kKey, nullptr, nullptr, IdentityRule::Standard); }
  // The generation is made on a disk thread.
  static void await_object(const Fill::Reader& fill) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!fill->object() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    ASSERT_TRUE(fill->object());
  }
  void send(std::size_t fetch, std::uint64_t offset, std::uint64_t length) {
    const auto sink = origin.at(fetch).sink;
    for (std::uint64_t sent = 0; sent < length;) {
      const std::uint64_t count = std::min<std::uint64_t>(length - sent, 16 * 1024);
      const auto bytes = pattern(kSeed, offset + sent, count);
      const OriginSink::Next next = sink->on_body(bytes);
      ASSERT_NE(next, OriginSink::Next::Abort) << offset + sent;
      if (next == OriginSink::Next::Pause) {
        std::this_thread::yield();  // the disk is behind
        continue;
      }
      sent += count;
    }
  }
  // What a reader gets, or the error that it waited for too long.
  static base::Result<std::shared_ptr<SliceBuffer>> slice(const Fill::Reader& fill,
                                                          std::uint32_t index,
                                                          std::chrono::milliseconds patience) {
    base::Result<std::shared_ptr<SliceBuffer>> got;
    net::Loop loop;
    const auto body = [](net::Loop& on, const Fill::Reader& from, std::uint32_t number,
                         base::SteadyTime deadline, auto& to) -> net::Task<void> {
      to = co_await from.slice(number, 0, deadline);
      on.stop();
    };
    loop.spawn(body(loop, fill, index, std::chrono::steady_clock::now() + patience, got));
    loop.run();
    return got;
  }
  // The fetches with that target that begin at that byte.
  std::vector<std::shared_ptr<OriginSink>> asked_with(const std::string& target,
                                                      std::uint64_t first) const {
    std::vector<std::shared_ptr<OriginSink>> found;
    for (std::size_t i = 0; i < origin.ranges().size(); ++i) {
      const FakeOrigin::Asked asked = origin.at(i);
      const bool begins = asked.field("Range").starts_with("bytes=" + std::to_string(first) + "-");
      if (asked.request.target == target && begins) found.push_back(asked.sink);
    }
    return found;
  }
  static base::Status broken() { return base::fail(base::ErrorCode::Unavailable, "broken"); }

  store::testing::TemporaryFolder folder;
  std::unique_ptr<store::Store> store = store::testing::open_store(folder.path(), 512 << 20);
  FakeOrigin origin;
  base::SystemClock clock;
  std::optional<net::WorkerPool> disk{std::in_place, 1, 64};
  FillTable table{origin, *store, *disk, clock};

  void TearDown() override {
    origin.end_all();
    disk.reset();
  }
};

TEST_F(FillTest, WhatWasPurgedWhileItWasStoredIsReadAndNotFoundAgain) {
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

TEST_F(FillTest, PlainRequestIsLeftToRun) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 20 * kSliceSize)));
  await_object(fill);
  fill.ask(request(), {0, 19});
  send(0, 0, 20 * kSliceSize);
  origin.at(0).sink->on_end({});
  EXPECT_EQ(origin.ranges(), std::vector<std::string>{""});
}

TEST_F(FillTest, OriginThatServesRangesIsAskedForSeveralAtOnce) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request("/x", true), std::nullopt, judge));
  EXPECT_EQ(origin.at(0).field("Range"), "bytes=0-4194303");
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(206, {{0, 4194303}}, 40 * kSliceSize)));
  await_object(fill);
  fill.ask(request("/x", true), {0, 39});
  send(0, 0, 2 * kSliceSize);
  const auto ranges = origin.ranges();
  ASSERT_GE(ranges.size(), 3U) << "the window has room for two slices more";
  EXPECT_EQ(ranges[1], "bytes=4194304-5242879");
  EXPECT_EQ(ranges[2], "bytes=5242880-6291455");
  EXPECT_EQ(origin.at(1).field("If-Range"), "\"one\"");
}

TEST_F(FillTest, NothingBehindWhatReadersAskedForIsFetched) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), SliceRange{0, 1}, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(206, {{0, 2097151}}, 40 * kSliceSize)));
  await_object(fill);
  fill.ask(request(), {0, 1});
  send(0, 0, 2 * kSliceSize);
  origin.at(0).sink->on_end({});
  EXPECT_EQ(origin.ranges(), std::vector<std::string>{"bytes=0-2097151"});
}

TEST_F(FillTest, BrokenFetchIsTakenOverAtItsByte) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(fill);
  fill.ask(request(), {0, 1});
  send(0, 0, 100 * 1024);
  origin.at(0).sink->on_end(broken());
  EXPECT_EQ(origin.at(1).field("Range").substr(0, 13), "bytes=102400-");
  EXPECT_EQ(origin.at(1).field("If-Range"), "\"one\"");
}

TEST_F(FillTest, HiccupThatBreaksAllFetchesIsOneFailure) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request("/x", true), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(206, {{0, 4194303}}, 40 * kSliceSize)));
  await_object(fill);
  fill.ask(request("/x", true), {0, 39});
  send(0, 0, 2 * kSliceSize);
  std::size_t ended = 0;
  std::size_t asked = origin.ranges().size();
  ASSERT_GE(asked, 3U);
  // Twice: the second time no fetch has brought a byte since.
  for (int hiccup = 0; hiccup < 2; ++hiccup) {
    for (; ended < asked; ++ended) origin.at(ended).sink->on_end(broken());
    EXPECT_EQ(slice(fill, 2, std::chrono::milliseconds(600)).error().code,
              base::ErrorCode::DeadlineExceeded)
        << "it still waits for what is asked for again";
    asked = origin.ranges().size();
    EXPECT_GT(asked, ended);
  }
}

TEST_F(FillTest, FetchThatHangsDoesNotKeepWhatIsMissingFromBeingAskedForAgain) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request("/x", true), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(206, {{0, 4194303}}, 40 * kSliceSize)));
  await_object(fill);
  fill.ask(request("/x", true), {0, 39});
  send(0, 0, 2 * kSliceSize);
  ASSERT_GE(origin.ranges().size(), 3U) << "others are under way, and bring nothing from now on";
  origin.at(0).sink->on_end(broken());
  ASSERT_EQ(asked_with("/x", 2 * kSliceSize).size(), 1U);
  asked_with("/x", 2 * kSliceSize)[0]->on_end(broken());
  EXPECT_FALSE(slice(fill, 2, std::chrono::milliseconds(600)));
  EXPECT_EQ(asked_with("/x", 2 * kSliceSize).size(), 2U);
}

TEST_F(FillTest, WhatNobodyWantsToTheEndAndCannotBeCompletedIsNotKept) {
  {
    const Fill::Reader fill = reader();
    ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
    const auto sink = origin.at(0).sink;
    ASSERT_TRUE(sink->on_head(head_of(200, std::nullopt, 40 * kSliceSize, "W/\"one\"")));
    await_object(fill);
    fill.ask(request(), {0, 39});
    send(0, 0, kSliceSize);
  }
  const auto sink = origin.at(0).sink;
  const auto bytes = pattern(kSeed, kSliceSize, kSliceSize);
  while (sink->on_body(bytes) == OriginSink::Next::Pause) std::this_thread::yield();
  sink->on_end(broken());
  disk.reset();  // what it was told is done
  EXPECT_FALSE(store->contains(kKey)) << "the next one would be cut behind its slices";
}

TEST_F(FillTest, WhoComesAfterAPurgeDoesNotJoin) {
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

TEST_F(FillTest, NobodyJoinsAStreamThatHasFailed) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge_stream));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_without_length()));
  const auto first = fill->stream()->join();
  EXPECT_TRUE(first);
  origin.at(0).sink->on_end(broken());
  EXPECT_FALSE(fill->stream()->join());
}

TEST_F(FillTest, WhoComesAfterAnAnswerThatIsNotSharedAsksAnew) {
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

TEST_F(FillTest, AnswerWithoutAValidatorIsNeverContinued) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize, "W/\"one\"")));
  await_object(fill);
  fill.ask(request(), {0, 1});
  send(0, 0, 100 * 1024);
  origin.at(0).sink->on_end(broken());
  EXPECT_EQ(origin.ranges().size(), 1U);
  EXPECT_EQ(table.size(), 0U) << "the next one opens anew";
}

TEST_F(FillTest, RefusedRequestIsReplacedByAnotherReaders) {
  const Fill::Reader old = reader();
  ASSERT_TRUE(old->open(request("/x?sig=0"), std::nullopt, judge));
  const std::vector<int> refusals = {403, 404, 400, 410, 416, 451};
  const Fill::Reader same = reader();
  std::vector<Fill::Reader> others;
  for (std::size_t i = 0; i < refusals.size(); ++i) others.push_back(reader());
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(old);
  old.ask(request("/x?sig=0"), {0, 1});
  same.ask(request("/x?sig=0"), {0, 1});
  for (std::size_t i = 0; i < others.size(); ++i) {
    others[i].ask(request("/x?sig=" + std::to_string(i + 1)), {0, 1});
  }
  send(0, 0, 100 * 1024);
  origin.at(0).sink->on_end(broken());
  // Each signature is tried once, whatever the origin says to it.
  for (std::size_t i = 0; i < refusals.size(); ++i) {
    const auto asked = asked_with("/x?sig=" + std::to_string(i), 102400);
    ASSERT_EQ(asked.size(), 1U) << i;
    EXPECT_FALSE(asked[0]->on_head(head_of(refusals[i], std::nullopt, 0)));
    asked[0]->on_end(broken());
  }
  const auto good = asked_with("/x?sig=6", 102400);
  ASSERT_EQ(good.size(), 1U);
  EXPECT_TRUE(good[0]->on_head(head_of(206, {{102400, kSliceSize - 1}}, 2 * kSliceSize)));
}

TEST_F(FillTest, ObjectThatEveryReadersRequestFindsGoneIsGone) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request("/x?sig=0"), std::nullopt, judge));
  const Fill::Reader other = reader();
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(fill);
  fill.ask(request("/x?sig=0"), {0, 1});
  other.ask(request("/x?sig=1"), {0, 1});
  send(0, 0, 100 * 1024);
  origin.at(0).sink->on_end(broken());
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_NE(fill->error().code, base::ErrorCode::DataLoss);
    const std::size_t last = origin.ranges().size() - 1;
    EXPECT_FALSE(origin.at(last).sink->on_head(head_of(404, std::nullopt, 0)));
    origin.at(last).sink->on_end(broken());
  }
  EXPECT_EQ(fill->error().code, base::ErrorCode::DataLoss);
  EXPECT_EQ(table.size(), 0U);
}

TEST_F(FillTest, AnotherGenerationEndsTheFill) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(fill);
  fill.ask(request(), {0, 1});
  send(0, 0, 100 * 1024);
  origin.at(0).sink->on_end(broken());
  const auto range = head_of(206, {{102400, 2 * kSliceSize - 1}}, 2 * kSliceSize, "\"two\"");
  EXPECT_FALSE(origin.at(1).sink->on_head(range));
  EXPECT_EQ(fill->error().code, base::ErrorCode::DataLoss);
  EXPECT_EQ(table.statistics().changes, 1U);
  EXPECT_EQ(table.size(), 0U);
}

TEST_F(FillTest, WithoutReadersAFetchEndsAfterItsSlice) {
  std::optional<Fill::Reader> fill{reader()};
  ASSERT_TRUE((*fill)->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 40 * kSliceSize)));
  await_object(*fill);
  fill->ask(request(), {0, 39});
  send(0, 0, kSliceSize / 2);
  fill.reset();
  const auto rest = pattern(kSeed, kSliceSize / 2, kSliceSize / 2);
  EXPECT_EQ(origin.at(0).sink->on_body(rest), OriginSink::Next::Abort);
  origin.at(0).sink->on_end(broken());
}

TEST_F(FillTest, WhoFindsTheNewObjectJoinsTheFillThatMakesIt) {
  for (std::uint64_t number = 0; number < 300; ++number) {
    const store::Key key{9, number};
    const Fill::Reader opener = table.acquire(key, nullptr, nullptr, IdentityRule::Standard);
    ASSERT_TRUE(opener->open(request(), std::nullopt, judge));
    std::thread finder([&] {
      std::shared_ptr<store::Object> found;
      while (!found) found = store->find_open(key);
      const StoredResponse response;
      const Fill::Reader joined = table.acquire(key, found, &response, IdentityRule::Standard);
      EXPECT_EQ(joined.operator->(), opener.operator->());
    });
    const std::shared_ptr<OriginSink> sink = origin.at(number).sink;
    ASSERT_TRUE(sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
    finder.join();
  }
  EXPECT_EQ(origin.ranges().size(), 300U);
}

TEST_F(FillTest, AStopDoesNotWaitForAStreamToBeStored) {
  for (const bool stopped : {false, true}) {
    const store::Key key{11, stopped ? 1U : 0U};
    const Fill::Reader fill = table.acquire(key, nullptr, nullptr, IdentityRule::Standard);
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

TEST_F(FillTest, WhoFindsAStreamThatIsBeingStoredJoinsItsFill) {
  const auto bytes = pattern(kSeed, 0, 4 * kSliceSize);
  for (std::uint64_t number = 0; number < 20; ++number) {
    const store::Key key{9, number};
    const Fill::Reader opener = table.acquire(key, nullptr, nullptr, IdentityRule::Standard);
    ASSERT_TRUE(opener->open(request(), std::nullopt, judge_stream));
    const std::shared_ptr<OriginSink> sink = origin.at(number).sink;
    ASSERT_TRUE(sink->on_head(head_without_length()));
    ASSERT_EQ(sink->on_body(bytes), OriginSink::Next::Continue);
    std::thread finder([&] {
      std::shared_ptr<store::Object> found;
      while (!found) found = store->find_open(key);
      if (found->has_slice(3)) return;
      const StoredResponse response;
      const Fill::Reader joined = table.acquire(key, found, &response, IdentityRule::Standard);
      EXPECT_TRUE(joined.operator->() == opener.operator->() || found->has_slice(3));
    });
    sink->on_end({});
    finder.join();
  }
}

TEST_F(FillTest, FetchThatWaitsForMemoryIsEndedWhenNobodyNeedsItAnyMore) {
  FillTable small{origin, *store, *disk, clock, kSliceSize};
  const Fill::Reader other = small.acquire({7, 7}, nullptr, nullptr, IdentityRule::Standard);
  ASSERT_TRUE(other->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(other);
  send(0, 0, 1024);
  std::optional<Fill::Reader> fill{small.acquire(kKey, nullptr, nullptr, IdentityRule::Standard)};
  ASSERT_TRUE((*fill)->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(1).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(*fill);
  fill->ask(request(), {0, 1});
  const auto bytes = pattern(kSeed, 0, 1024);
  std::optional<Fill::Reader> second{
      small.acquire(kKey, (*fill)->object(), nullptr, IdentityRule::Standard)};
  second->ask(request(), {0, 1});
  EXPECT_EQ(origin.at(1).sink->on_body(bytes), OriginSink::Next::Pause);
  fill.reset();
  EXPECT_FALSE(origin.at(1).was_cancelled);
  second.reset();
  EXPECT_TRUE(origin.at(1).was_cancelled);
  origin.end_all();
}

TEST_F(FillTest, CapThatCannotFeedItRefusesTheFill) {
  origin.admits = false;
  const Fill::Reader fill = reader();
  EXPECT_TRUE(fill->open(request(), std::nullopt, judge));
  EXPECT_EQ(fill->error().code, base::ErrorCode::ResourceExhausted);
  EXPECT_TRUE(origin.ranges().empty());
  EXPECT_EQ(table.statistics().refused, 1U);
}

TEST_F(FillTest, RangeThatDoesNotOpenTheObjectIsAskedAgainWithoutIt) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request("/empty", true), std::nullopt, judge));
  EXPECT_FALSE(origin.at(0).sink->on_head(head_of(416, std::nullopt, 0)));
  origin.at(0).sink->on_end(broken());
  EXPECT_EQ(origin.ranges(), (std::vector<std::string>{"bytes=0-4194303", ""}));
}

TEST_F(FillTest, PartOfAShortObjectThatCannotBeAddedToIsAskedAgainAsTheWhole) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), SliceRange{1, 1}, judge));
  const http::ByteRange part{kSliceSize, 2 * kSliceSize - 1};
  EXPECT_FALSE(origin.at(0).sink->on_head(head_of(206, part, 8 * kSliceSize, "W/\"one\"")));
  origin.at(0).sink->on_end(broken());
  ASSERT_EQ(origin.ranges(), (std::vector<std::string>{"bytes=1048576-2097151", ""}));
  ASSERT_TRUE(origin.at(1).sink->on_head(head_of(200, std::nullopt, 8 * kSliceSize, "W/\"one\"")));
  await_object(fill);
}

TEST_F(FillTest, PartOfALongObjectThatCannotBeAddedToIsPassedOn) {
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

TEST_F(FillTest, WhatTheStoreDoesNotTakeIsSharedFromMemory) {
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

TEST_F(FillTest, WhatNeitherTheStoreNorMemoryTakesIsForOne) {
  const Fill::Reader fill = reader();
  ASSERT_TRUE(fill->open(request(), std::nullopt, judge_too_much));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 32 * kSliceSize + 1)));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!fill->pass() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(fill->pass());
  EXPECT_FALSE(fill->stream());
}

}  // namespace
}  // namespace larder::cache
