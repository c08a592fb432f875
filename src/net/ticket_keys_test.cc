#include "net/ticket_keys.h"

#include <gtest/gtest.h>

namespace larder::net {
namespace {

using namespace std::chrono_literals;

const base::SteadyTime kStart = base::SteadyTime() + 1000h;

TEST(TicketKeys, OneKeyForAnHour) {
  TicketKeys keys;
  const auto first = keys.current(kStart);
  EXPECT_EQ(keys.current(kStart + 59min), first);
  const auto second = keys.current(kStart + 60min);
  EXPECT_NE(second, first);
  EXPECT_NE(second->name, first->name);
  EXPECT_NE(second->cipher, first->cipher);
  EXPECT_NE(second->mac, first->mac);
}

TEST(TicketKeys, TicketsAreGoodForTwoHoursAfterTheyWereMade) {
  TicketKeys keys;
  const auto first = keys.current(kStart);
  keys.current(kStart + 1h);
  EXPECT_EQ(keys.find(first->name, kStart + 2h + 59min), first);
  EXPECT_EQ(keys.find(first->name, kStart + 3h), nullptr);
  EXPECT_EQ(keys.find(std::array<std::uint8_t, 16>{}, kStart), nullptr);
}

TEST(TicketKeys, AreBounded) {
  TicketKeys keys;
  for (int minute = 0; minute < 100'000; minute += 7) keys.current(kStart + minute * 1min);
  EXPECT_LE(keys.size(), 4U);
}

}  // namespace
}  // namespace larder::net
