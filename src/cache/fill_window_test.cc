#include "cache/fill_window.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace larder::cache {
namespace {

using std::chrono::milliseconds;

// A path that carries `per_byte_of_window` bytes a second for each byte under way, up to `most`.
struct Path {
  double per_byte_of_window;
  double most;
  base::SteadyTime now{std::chrono::seconds(1)};

  void carry(FillWindow& window, std::chrono::seconds duration, bool is_full = true) {
    for (const base::SteadyTime end = now + duration; now < end; now += milliseconds(20)) {
      const double rate = std::min(most, static_cast<double>(window.bytes()) * per_byte_of_window);
      window.received(static_cast<std::uint64_t>(rate / 50), is_full, now);
    }
  }
};

TEST(FillWindow, GrowsToItsLimitWhileThroughputGrows) {
  FillWindow window;
  Path{.per_byte_of_window = 5, .most = 1e12}.carry(window, std::chrono::seconds(10));
  EXPECT_EQ(window.bytes(), FillWindow::kLargest);
}

TEST(FillWindow, StaysWhereMoreBringsNothing) {
  FillWindow window;
  Path path{.per_byte_of_window = 5, .most = 40e6};  // 8 MiB under way fill the line
  path.carry(window, std::chrono::seconds(4));
  EXPECT_GE(window.bytes(), 8 << 20);
  EXPECT_LE(window.bytes(), 16 << 20);
}

TEST(FillWindow, TriesAgainAfterAWhile) {
  FillWindow window;
  Path path{.per_byte_of_window = 5, .most = 20e6};
  path.carry(window, std::chrono::seconds(4));
  const std::uint64_t before = window.bytes();
  path.most = 1e9;
  path.carry(window, std::chrono::seconds(10));
  EXPECT_GT(window.bytes(), before);
}

TEST(FillWindow, SaysNothingWhenReadersAskForLess) {
  FillWindow window;
  Path{.per_byte_of_window = 5, .most = 1e12}.carry(window, std::chrono::seconds(10), false);
  EXPECT_EQ(window.bytes(), FillWindow::kFirst);
}

TEST(FillWindow, ChunksLeaveRoomForSeveralConnections) {
  EXPECT_EQ(FillWindow().chunk(), 1 << 20);
  EXPECT_EQ(FillWindow(FillWindow::kLargest).chunk(), 8 << 20);
}

}  // namespace
}  // namespace larder::cache
