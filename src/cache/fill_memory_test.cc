// Who gets the memory of fills, and that fetches never wait for each other's.
#include "cache/fill_memory.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "cache/testing.h"

namespace larder::cache::testing {
namespace {

using Use = FillMemory::Use;

class FillMemoryTest : public ::testing::Test {
 protected:
  FillMemoryTest() {
    for (Origin::FetchId id = 1; id <= 5; ++id) EXPECT_EQ(origin.fetch({}, nullptr), id);
  }
  // How often each one was resumed.
  std::vector<int> resumed() const {
    std::vector<int> counts;
    for (std::size_t i = 0; i < 5; ++i) counts.push_back(origin.at(i).resumed);
    return counts;
  }

  FakeOrigin origin;
  FillMemory memory{origin, 8 * kSliceSize};
};

TEST_F(FillMemoryTest, WhoWaitsIsResumedWhenWhatItWantsFits) {
  ASSERT_TRUE(memory.take(4 * kSliceSize, 1, Use::PassedStream));
  EXPECT_FALSE(memory.take(kSliceSize, 2, Use::PassedStream)) << "more than half";
  ASSERT_TRUE(memory.take(3 * kSliceSize, 3));
  EXPECT_FALSE(memory.take(kSliceSize, 4));
  memory.give_back(kSliceSize);
  EXPECT_EQ(resumed(), (std::vector{0, 0, 0, 1, 0})) << "the streams have their half still";
  memory.give_back(kSliceSize, Use::PassedStream);
  EXPECT_EQ(resumed(), (std::vector{0, 1, 0, 1, 0}));
}

TEST_F(FillMemoryTest, LastSliceIsForWhoGetsFromOneToTheNext) {
  ASSERT_TRUE(memory.take(7 * kSliceSize, 1));
  EXPECT_FALSE(memory.take(kSliceSize, 2));
  EXPECT_FALSE(memory.take(kSliceSize, 3, Use::KeptStream));
  EXPECT_TRUE(memory.take(kSliceSize, 1, Use::Spare));
}

TEST_F(FillMemoryTest, WhoWaitsForASpareSliceComesFirst) {
  ASSERT_TRUE(memory.take(7 * kSliceSize, 1));
  ASSERT_TRUE(memory.take(kSliceSize, 1, Use::Spare));
  EXPECT_FALSE(memory.take(kSliceSize, 2));
  EXPECT_FALSE(memory.take(kSliceSize, 3, Use::Spare));
  EXPECT_FALSE(memory.take(kSliceSize, 4, Use::Spare));
  memory.give_back(kSliceSize);
  EXPECT_EQ(resumed(), (std::vector{0, 0, 1, 0, 0}));
  memory.give_back(kSliceSize);
  EXPECT_EQ(resumed(), (std::vector{0, 0, 1, 1, 0})) << "the last one is not for a first slice";
  memory.give_back(kSliceSize);
  EXPECT_EQ(resumed(), (std::vector{0, 1, 1, 1, 0}));
}

TEST_F(FillMemoryTest, WhoseFetchEndsLeavesItsTurnToTheNext) {
  ASSERT_TRUE(memory.take(7 * kSliceSize, 1));
  ASSERT_TRUE(memory.take(kSliceSize, 1, Use::Spare));
  EXPECT_FALSE(memory.take(kSliceSize, 2, Use::Spare));
  EXPECT_FALSE(memory.take(kSliceSize, 3, Use::Spare));
  memory.give_back(kSliceSize);
  EXPECT_EQ(resumed(), (std::vector{0, 1, 0, 0, 0}));
  memory.leave(2);
  EXPECT_EQ(resumed(), (std::vector{0, 1, 1, 0, 0}));
}

TEST(FillMemory, OfTheLeastALastSliceIsKept) {
  FakeOrigin origin;
  EXPECT_EQ(origin.fetch({}, nullptr), 1U);
  FillMemory memory(origin, 2 * kSliceSize);
  EXPECT_TRUE(memory.take(kSliceSize, 1));
  EXPECT_FALSE(memory.take(kSliceSize, 1));
  EXPECT_TRUE(memory.take(kSliceSize, 1, Use::Spare));
}

TEST_F(FillTest, FetchesThatComeToTheEndsOfTheirSlicesTogetherAllGoOn) {
  constexpr std::size_t kFetches = 6;
  constexpr std::uint64_t kLength = 3 * kSliceSize;
  constexpr std::uint64_t kPiece = 16 * 1024;
  constexpr std::uint64_t kFirst = 1024;  // from here on no piece ends with a slice
  FillTable small{origin, *store, *disk, clock, 4 * kSliceSize};
  std::vector<Fill::Reader> fills;
  for (std::size_t i = 0; i < kFetches; ++i) {
    fills.push_back(small.open({7, i}, IdentityRule::Standard));
    ASSERT_TRUE(fills[i]->open(request(), std::nullopt, judge));
    ASSERT_TRUE(origin.at(i).sink->on_head(head_of(200, std::nullopt, kLength)));
    await_object(fills[i]);
    fills[i].ask(request(), {0, 2});
  }
  await_disk();  // none of them is paused for that any more
  struct Sender {
    std::uint64_t sent = 0;
    int resumed = 0;
    bool is_paused = false;
  };
  std::vector<Sender> senders(kFetches);
  for (std::size_t i = 0; i < kFetches; ++i) senders[i].resumed = origin.at(i).resumed;
  // As a transport does: what is paused brings nothing until it is resumed.
  const auto send_all = [&] {
    bool moved = false;
    for (std::size_t i = 0; i < kFetches; ++i) {
      Sender& sender = senders[i];
      const FakeOrigin::Asked asked = origin.at(i);
      if (sender.sent == kLength || (sender.is_paused && asked.resumed == sender.resumed)) continue;
      sender.resumed = asked.resumed;
      const std::uint64_t count =
          sender.sent == 0 ? kFirst : std::min(kPiece, kLength - sender.sent);
      const auto next = asked.sink->on_body(pattern(kSeed, sender.sent, count));
      EXPECT_NE(next, OriginSink::Next::Abort) << i << " at " << sender.sent;
      sender.is_paused = next == OriginSink::Next::Pause;
      if (next != OriginSink::Next::Continue) continue;
      sender.sent += count;
      moved = true;
    }
    return moved;
  };
  for (bool moved = true; moved;) {
    while (send_all()) {
    }
    await_disk();  // what is full goes there, and its memory comes back
    moved = send_all();
  }
  for (std::size_t i = 0; i < kFetches; ++i) EXPECT_EQ(senders[i].sent, kLength) << i;
  origin.end_all();
  await_disk();
}

}  // namespace
}  // namespace larder::cache::testing
