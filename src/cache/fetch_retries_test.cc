#include "cache/fetch_retries.h"

#include <gtest/gtest.h>

namespace larder::cache {
namespace {

using namespace std::chrono_literals;

constexpr base::SteadyTime kStart{1000s};

TEST(FetchRetries, FirstFailureIsRetriedAtOnceAndFurtherOnesEverLater) {
  FetchRetries retries;
  base::SteadyTime now = kStart;
  EXPECT_LE(retries.next(), now);
  const std::chrono::milliseconds waits[] = {0ms, 250ms, 500ms, 1000ms, 2000ms};
  for (const auto wait : waits) {
    EXPECT_FALSE(retries.is_exhausted(now));
    retries.failed(now, now, 0);
    EXPECT_EQ(retries.next() - now, wait);
    EXPECT_EQ(retries.is_probing(), wait > 0ms);
    now = retries.next() + 1ms;
  }
  EXPECT_FALSE(retries.has_spare());
  retries.failed(now, now, 0);
  EXPECT_TRUE(retries.is_exhausted(now));
  EXPECT_FALSE(retries.is_exhausted(now + FetchRetries::kRest));
}

TEST(FetchRetries, JitterShortensAWaitByAQuarterAtMost) {
  for (std::uint32_t random = 0; random < 5000; random += 7) {
    FetchRetries retries;
    retries.failed(kStart, kStart, random);
    retries.failed(kStart, kStart, random);
    EXPECT_GE(retries.next(), kStart + 187ms);
    EXPECT_LE(retries.next(), kStart + 250ms);
  }
}

TEST(FetchRetries, FetchesThatBreakTogetherAreOneFailure) {
  FetchRetries retries;
  for (int i = 0; i < 16; ++i) retries.failed(kStart - 1s, kStart + i * 10ms, 0);
  EXPECT_LE(retries.next(), kStart);
  retries.failed(kStart + 5ms, kStart + 200ms, 0);
  EXPECT_EQ(retries.next(), kStart + 450ms) << "this one was begun afterwards";
}

TEST(FetchRetries, BytesThatCameResetThem) {
  FetchRetries retries;
  for (int i = 0; i < FetchRetries::kMost; ++i) retries.failed(kStart, kStart, 0);
  ASSERT_TRUE(retries.is_exhausted(kStart));
  retries.received(FetchRetries::kProgress - 1);
  EXPECT_TRUE(retries.is_exhausted(kStart));
  retries.received(1);
  EXPECT_FALSE(retries.is_exhausted(kStart));
  EXPECT_LE(retries.next(), kStart);
}

TEST(FetchRetries, AfterARestOneMoreAttemptIsMadeAtATime) {
  FetchRetries retries;
  for (int i = 0; i < FetchRetries::kMost; ++i) retries.failed(kStart, kStart, 0);
  const base::SteadyTime later = kStart + FetchRetries::kRest;
  retries.failed(later, later, 0);
  EXPECT_TRUE(retries.is_exhausted(later));
  EXPECT_EQ(retries.next(), later + FetchRetries::kRest);
}

}  // namespace
}  // namespace larder::cache
