#include "net/handshake_turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "net/loop.h"

namespace larder::net {
namespace {

using namespace std::chrono_literals;

TEST(HandshakeTurns, FloodLeavesRoomBetweenItsTurnsAndKeepsItsOrder) {
  constexpr int kFlood = 20;
  constexpr auto kCost = HandshakeTurns::kShare * 2 / 3;  // the second one ends a turn
  Loop loop;
  HandshakeTurns turns;
  std::vector<int> order;
  std::vector<std::size_t> seen_by_transfer;  // handshakes that were done at each of its turns
  const auto handshake = [&](int number) -> Task<void> {
    co_await turns.next();
    order.push_back(number);
    turns.spent(kCost);
  };
  const auto transfer = [&]() -> Task<void> {
    for (int i = 0; i < kFlood; ++i) {
      seen_by_transfer.push_back(order.size());
      co_await yield();
    }
    loop.stop();
  };
  loop.post([&] {
    for (int number = 0; number < kFlood; ++number) loop.spawn(handshake(number));
    loop.spawn(transfer());
  });
  loop.run();
  ASSERT_EQ(order.size(), static_cast<std::size_t>(kFlood));
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_EQ(seen_by_transfer.front(), 2U);
  for (std::size_t i = 1; i < seen_by_transfer.size(); ++i) {
    EXPECT_LE(seen_by_transfer[i] - seen_by_transfer[i - 1], 2U) << i;
  }
}

TEST(HandshakeTurns, SingleOneNeverWaits) {
  Loop loop;
  HandshakeTurns turns;
  bool done = false;
  const auto handshake = [&]() -> Task<void> {
    co_await turns.next();
    done = true;
  };
  loop.post([&] {
    loop.spawn(handshake());
    EXPECT_TRUE(done);
    loop.stop();
  });
  loop.run();
}

}  // namespace
}  // namespace larder::net
