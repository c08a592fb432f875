#include "cli/prefetch_pace.h"

#include <gtest/gtest.h>

namespace larder::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kMiB = 1 << 20;
const base::SteadyTime kStart{seconds(1000)};

TEST(PrefetchPace, SeveralTakeTurnsAtOneRate) {
  PrefetchPace pace(2 * kMiB, kStart);
  EXPECT_EQ(pace.take(kMiB, kStart), kStart);
  EXPECT_EQ(pace.take(kMiB, kStart), kStart + milliseconds(500));
  EXPECT_EQ(pace.take(kMiB, kStart + milliseconds(100)), kStart + seconds(1));
  EXPECT_EQ(pace.next(), kStart + milliseconds(1500));
}

TEST(PrefetchPace, WhatWasThereCostsNothingAndWhatCameBesidesCounts) {
  PrefetchPace pace(2 * kMiB, kStart);
  pace.take(kMiB, kStart);
  pace.settle(kMiB, 0);
  EXPECT_EQ(pace.next(), kStart);
  pace.take(kMiB, kStart);
  pace.settle(kMiB, 6 * kMiB);
  EXPECT_EQ(pace.next(), kStart + seconds(3));
}

TEST(PrefetchPace, IdleTimeIsNotMadeUpFor) {
  PrefetchPace pace(kMiB, kStart);
  pace.take(kMiB, kStart);
  EXPECT_EQ(pace.take(kMiB, kStart + seconds(60)), kStart + seconds(60));
  EXPECT_EQ(pace.take(kMiB, kStart + seconds(60)), kStart + seconds(61));
}

TEST(PrefetchPace, PiecesAreHalfASecondInSlices) {
  EXPECT_EQ(PrefetchPace(0, kStart).piece(), 8 * kMiB);
  EXPECT_EQ(PrefetchPace(1000, kStart).piece(), kMiB);
  EXPECT_EQ(PrefetchPace(7 * kMiB, kStart).piece(), 3 * kMiB);
  EXPECT_EQ(PrefetchPace(1000 * kMiB, kStart).piece(), 8 * kMiB);
}

TEST(PrefetchPace, WithoutARateNobodyWaits) {
  PrefetchPace pace(0, kStart);
  pace.take(100 * kMiB, kStart);
  EXPECT_EQ(pace.take(kMiB, kStart), kStart);
}

}  // namespace
}  // namespace larder::cli
