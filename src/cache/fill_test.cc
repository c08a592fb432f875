// What a fill fetches, and how it goes on when a fetch ends before its time.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cache/testing.h"

namespace larder::cache::testing {
namespace {

TEST_F(FillTest, PlainRequestIsLeftToRun) {
  const Fill::Reader fill = filling(head_of(200, std::nullopt, 20 * kSliceSize), {0, 19});
  send(0, 0, 20 * kSliceSize);
  origin.at(0).sink->on_end({});
  EXPECT_EQ(origin.ranges(), std::vector<std::string>{""});
}

TEST_F(FillTest, OriginThatServesRangesIsAskedForSeveralAtOnce) {
  const Fill::Reader fill =
      filling(head_of(206, {{0, 4194303}}, 40 * kSliceSize), {0, 39}, request("/x", true));
  EXPECT_EQ(origin.at(0).field("Range"), "bytes=0-4194303");
  send(0, 0, 2 * kSliceSize);
  const auto ranges = origin.ranges();
  ASSERT_GE(ranges.size(), 3U) << "the window has room for two slices more";
  EXPECT_EQ(ranges[1], "bytes=4194304-5242879");
  EXPECT_EQ(ranges[2], "bytes=5242880-6291455");
  EXPECT_EQ(origin.at(1).field("If-Range"), "\"one\"");
}

TEST_F(FillTest, NothingBehindWhatReadersAskedForIsFetched) {
  const Fill::Reader fill =
      filling(head_of(206, {{0, 2097151}}, 40 * kSliceSize), {0, 1}, request(), SliceRange{0, 1});
  send(0, 0, 2 * kSliceSize);
  origin.at(0).sink->on_end({});
  EXPECT_EQ(origin.ranges(), std::vector<std::string>{"bytes=0-2097151"});
}

TEST_F(FillTest, BrokenFetchIsTakenOverAtItsByte) {
  const Fill::Reader fill = filling(head_of(200, std::nullopt, 2 * kSliceSize), {0, 1});
  send(0, 0, 100 * 1024);
  origin.at(0).sink->on_end(broken());
  EXPECT_EQ(origin.at(1).field("Range").substr(0, 13), "bytes=102400-");
  EXPECT_EQ(origin.at(1).field("If-Range"), "\"one\"");
}

TEST_F(FillTest, HiccupThatBreaksAllFetchesIsOneFailure) {
  const Fill::Reader fill =
      filling(head_of(206, {{0, 4194303}}, 40 * kSliceSize), {0, 39}, request("/x", true));
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
  const Fill::Reader fill =
      filling(head_of(206, {{0, 4194303}}, 40 * kSliceSize), {0, 39}, request("/x", true));
  send(0, 0, 2 * kSliceSize);
  ASSERT_GE(origin.ranges().size(), 3U) << "others are under way, and bring nothing from now on";
  origin.at(0).sink->on_end(broken());
  ASSERT_EQ(asked_with("/x", 2 * kSliceSize).size(), 1U);
  asked_with("/x", 2 * kSliceSize)[0]->on_end(broken());
  EXPECT_FALSE(slice(fill, 2, std::chrono::milliseconds(600)));
  EXPECT_EQ(asked_with("/x", 2 * kSliceSize).size(), 2U);
}

TEST_F(FillTest, WhatNobodyWantsToTheEndAndCannotBeCompletedIsNotKept) {
  std::shared_ptr<store::Object> object;
  {
    const Fill::Reader fill =
        filling(head_of(200, std::nullopt, 40 * kSliceSize, "W/\"one\""), {0, 39});
    const auto sink = origin.at(0).sink;
    send(0, 0, kSliceSize);
    object = fill->object();
  }
  const auto sink = origin.at(0).sink;
  const auto bytes = pattern(kSeed, kSliceSize, kSliceSize);
  while (sink->on_body(bytes) == OriginSink::Next::Pause) std::this_thread::yield();
  // Before the fetch has ended.
  const Fill::Reader late = table.complete(kKey, object, {}, IdentityRule::Standard);
  sink->on_end(broken());
  EXPECT_EQ(late->error().code, base::ErrorCode::DataLoss) << "the origin is well: ask again";
  disk.reset();  // what it was told is done
  EXPECT_FALSE(store->contains(kKey)) << "the next one would be cut behind its slices";
}

TEST_F(FillTest, AnswerWithoutAValidatorIsNeverContinued) {
  const Fill::Reader fill =
      filling(head_of(200, std::nullopt, 2 * kSliceSize, "W/\"one\""), {0, 1});
  send(0, 0, 100 * 1024);
  origin.at(0).sink->on_end(broken());
  EXPECT_EQ(origin.ranges().size(), 1U);
  EXPECT_EQ(table.size(), 0U) << "the next one opens anew";
}

// An answer that cannot be continued, of `slices` slices, of which the store takes none.
class FillWithoutStore : public FillTest {
 protected:
  Fill::Reader begin(FillTable& in, std::uint32_t slices) {
    Fill::Reader fill = in.open(kKey, IdentityRule::Standard);
    EXPECT_TRUE(fill->open(request(), std::nullopt, judge));
    EXPECT_TRUE(
        origin.at(0).sink->on_head(head_of(200, std::nullopt, slices * kSliceSize, "W/\"one\"")));
    await_object(fill);
    await_disk();  // it is not paused for that any more
    fill.ask(request(), {0, slices - 1});
    store->remove(*fill->object());
    return fill;
  }
};

TEST_F(FillWithoutStore, WhoComesWhenItsBeginningIsGoneIsToldBeforeAnythingIsPromised) {
  const Fill::Reader fill = begin(table, 4);
  send(0, 0, 2 * kSliceSize);
  EXPECT_TRUE(slice(fill, 1, std::chrono::seconds(30)));
  while (fill->has({0, 0})) std::this_thread::yield();  // the reader has passed it
  const Fill::Reader late = table.complete(kKey, fill->object(), {}, IdentityRule::Standard);
  late.ask(request(), {0, 3});
  const auto got = slice(late, 0, std::chrono::seconds(30));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, base::ErrorCode::FailedPrecondition);
  const Fill::Reader behind = table.complete(kKey, fill->object(), {}, IdentityRule::Standard);
  behind.ask(request(), {1, 3});
  EXPECT_TRUE(slice(behind, 1, std::chrono::seconds(30)));
}

TEST_F(FillTest, WhoAsksForAPartFarAheadThatCannotBeAskedForAloneDoesNotWait) {
  const Fill::Reader fill =
      filling(head_of(200, std::nullopt, 40 * kSliceSize, "W/\"one\""), {0, 39});
  const auto sink = origin.at(0).sink;
  send(0, 0, 1024);
  const Fill::Reader far = table.complete(kKey, fill->object(), {}, IdentityRule::Standard);
  far.ask(request(), {30, 30});
  const auto got = slice(far, 30, std::chrono::seconds(30));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, base::ErrorCode::FailedPrecondition);
}

TEST_F(FillWithoutStore, FetchThatWaitsForAReaderEndsWhenItLeaves) {
  std::optional<Fill::Reader> fill{begin(table, 40)};
  const auto sink = origin.at(0).sink;
  std::uint64_t sent = 0;
  const auto send_until_paused = [&] {
    for (;;) {
      const OriginSink::Next next = sink->on_body(pattern(kSeed, sent, 16 * 1024));
      if (next != OriginSink::Next::Continue) return next;
      sent += 16 * 1024;
    }
  };
  ASSERT_EQ(send_until_paused(), OriginSink::Next::Pause);
  await_disk();
  ASSERT_EQ(send_until_paused(), OriginSink::Next::Pause) << "it is kept for the reader";
  const int resumed = origin.at(0).resumed;
  fill.reset();
  EXPECT_EQ(origin.at(0).resumed, resumed + 1);
  EXPECT_EQ(send_until_paused(), OriginSink::Next::Abort);
}

TEST_F(FillWithoutStore, ScarceMemoryKeepsWhatCannotBeFetchedAgain) {
  FillTable small{origin, *store, *disk, clock, 4 * kSliceSize};
  const Fill::Reader fill = begin(small, 4);
  send(0, 0, 3 * kSliceSize);
  await_disk();
  EXPECT_TRUE(fill->has({0, 2}));
  origin.end_all();
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
  const Fill::Reader fill = filling(head_of(200, std::nullopt, 2 * kSliceSize), {0, 1});
  send(0, 0, 100 * 1024);
  origin.at(0).sink->on_end(broken());
  const auto range = head_of(206, {{102400, 2 * kSliceSize - 1}}, 2 * kSliceSize, "\"two\"");
  EXPECT_FALSE(origin.at(1).sink->on_head(range));
  EXPECT_EQ(fill->error().code, base::ErrorCode::DataLoss);
  EXPECT_EQ(table.statistics().changes, 1U);
  EXPECT_EQ(table.size(), 0U);
}

TEST_F(FillTest, WholeAnswerWithoutALengthGoesOnByItsStrongTag) {
  const Fill::Reader fill = filling(head_of(200, std::nullopt, 2 * kSliceSize), {0, 1});
  send(0, 0, kSliceSize + 1000);
  origin.at(0).sink->on_end(broken());
  ASSERT_TRUE(origin.at(1).sink->on_head(head_without_length()));
  send(1, 0, 2 * kSliceSize);
  origin.at(1).sink->on_end({});
  EXPECT_TRUE(slice(fill, 1, std::chrono::seconds(30)));
  EXPECT_EQ(table.statistics().changes, 0U);
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

TEST_F(FillTest, WithoutReadersASlowFetchEnds) {
  base::ManualClock time{base::WallTime{}};
  FillTable slow{origin, *store, *disk, time};
  std::optional<Fill::Reader> fill{slow.open(kKey, IdentityRule::Standard)};
  ASSERT_TRUE((*fill)->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(*fill);
  await_disk();
  fill->ask(request(), {0, 1});
  const auto bytes = pattern(kSeed, 0, 1024);
  const auto object = (*fill)->object();
  time.advance(std::chrono::hours(1));
  EXPECT_EQ(origin.at(0).sink->on_body(bytes), OriginSink::Next::Continue);
  fill.reset();
  time.advance(std::chrono::minutes(9));
  EXPECT_EQ(origin.at(0).sink->on_body(bytes), OriginSink::Next::Continue);
  fill.emplace(slow.complete(kKey, object, {}, IdentityRule::Standard));
  time.advance(std::chrono::hours(1));
  EXPECT_EQ(origin.at(0).sink->on_body(bytes), OriginSink::Next::Continue);
  fill.reset();
  time.advance(std::chrono::minutes(10));
  EXPECT_EQ(origin.at(0).sink->on_body(bytes), OriginSink::Next::Abort);
  origin.end_all();
}

TEST_F(FillTest, FetchThatWaitsForMemoryIsEndedWhenNobodyNeedsItAnyMore) {
  FillTable small{origin, *store, *disk, clock, kSliceSize};
  const Fill::Reader other = small.open({7, 7}, IdentityRule::Standard);
  ASSERT_TRUE(other->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(0).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(other);
  send(0, 0, 1024);
  std::optional<Fill::Reader> fill{small.open(kKey, IdentityRule::Standard)};
  ASSERT_TRUE((*fill)->open(request(), std::nullopt, judge));
  ASSERT_TRUE(origin.at(1).sink->on_head(head_of(200, std::nullopt, 2 * kSliceSize)));
  await_object(*fill);
  await_disk();  // it is not paused for that any more
  fill->ask(request(), {0, 1});
  const auto bytes = pattern(kSeed, 0, 1024);
  std::optional<Fill::Reader> second{
      small.complete(kKey, (*fill)->object(), {}, IdentityRule::Standard)};
  second->ask(request(), {0, 1});
  EXPECT_EQ(origin.at(1).sink->on_body(bytes), OriginSink::Next::Pause);
  fill.reset();
  EXPECT_FALSE(origin.at(1).was_cancelled);
  second.reset();
  EXPECT_TRUE(origin.at(1).was_cancelled);
  origin.end_all();
}

}  // namespace
}  // namespace larder::cache::testing
