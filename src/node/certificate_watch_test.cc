#include "node/certificate_watch.h"

#include <gtest/gtest.h>

#include <vector>

namespace larder::node {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

const base::WallTime kFrom = base::from_unix_seconds(1'800'000'000);

// When a responder is asked that repeats one answer until its end.
std::vector<base::WallTime> looks_until(base::WallTime until) {
  std::vector<base::WallTime> looks{kFrom};
  while (looks.size() < 100'000) {
    const base::WallTime next = next_staple_look(kFrom, until, looks.back());
    if (next >= until) break;
    looks.push_back(next);
  }
  return looks;
}

TEST(NextStapleLook, IsWhenAQuarterIsLeft) {
  const base::WallTime until = kFrom + hours(96);
  EXPECT_EQ(next_staple_look(kFrom, until, kFrom), kFrom + hours(72));
  EXPECT_EQ(next_staple_look(kFrom, until, kFrom + hours(71)), kFrom + hours(72));
}

TEST(NextStapleLook, OfAnAnswerThatIsRepeatedIsHourlyAtMostUntilNearItsEnd) {
  const base::WallTime until = kFrom + hours(7 * 24);
  const std::vector<base::WallTime> looks = looks_until(until);
  // 42 hours are the last quarter.
  EXPECT_GT(looks.size(), 40U);
  EXPECT_LT(looks.size(), 70U);
  EXPECT_GT(looks.back(), until - minutes(2)) << "asked up to the end";
  for (std::size_t i = 2; i < looks.size(); ++i) {
    const auto pause = looks[i] - looks[i - 1];
    EXPECT_GE(pause, minutes(1));
    EXPECT_LE(pause, hours(1));
    if (until - looks[i - 1] >= hours(4)) {
      EXPECT_EQ(pause, hours(1));
    }
  }
}

TEST(NextStapleLook, OfAShortAnswerIsNoSoonerThanInAMinute) {
  EXPECT_EQ(next_staple_look(kFrom, kFrom + minutes(1), kFrom), kFrom + minutes(1));
  EXPECT_EQ(next_staple_look(kFrom, kFrom + minutes(8), kFrom + minutes(7)), kFrom + minutes(8));
  EXPECT_LE(looks_until(kFrom + minutes(8)).size(), 4U);
}

TEST(NextStapleLook, OfOneThatHasEndedIsInAMinute) {
  EXPECT_EQ(next_staple_look(kFrom, kFrom + hours(4), kFrom + hours(5)),
            kFrom + hours(5) + minutes(1));
}

}  // namespace
}  // namespace larder::node
