#include "server/egress.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <map>
#include <optional>

#include "server/clients.h"

namespace larder::server {
namespace {

using std::chrono::milliseconds;

const base::SteadyTime kStart = base::SteadyTime{} + std::chrono::hours(1);

// Clients that always want more, on a clock that only the test moves.
class Crowd {
 public:
  explicit Crowd(EgressLimits limits) { plan_.set_limits(limits); }

  void add(const std::string& client) {
    auto& ask = asks_.emplace_back(std::make_unique<Wish>());
    ask->client = client;
    want(*ask);
  }
  // Ticks as a loop does.
  void pass(milliseconds time) {
    for (const base::SteadyTime end = now_ + time; now_ < end;) {
      now_ += milliseconds(50);
      for (bool more = true; more;) {
        std::vector<EgressAsk*> served;
        more = plan_.distribute(now_, served);
        for (EgressAsk* ask : served) {
          auto& wish = static_cast<Wish&>(*ask);
          sent[wish.client] += wish.bytes;
          want(wish);
        }
      }
    }
  }
  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const auto& [client, bytes] : sent) sum += bytes;
    return sum;
  }
  std::map<std::string, std::uint64_t> sent;
  EgressPlan& plan() { return plan_; }

 private:
  struct Wish : EgressAsk {
    std::string client;
  };
  void want(Wish& wish) {
    wish.bytes = plan_.piece();
    while (plan_.ask(clients_[wish.client], wish, now_)) sent[wish.client] += wish.bytes;
  }
  EgressPlan plan_;
  std::map<std::string, EgressClient> clients_;
  std::vector<std::unique_ptr<Wish>> asks_;
  base::SteadyTime now_ = kStart;
};

TEST(Egress, TheTotalIsKept) {
  Crowd crowd({.client = 0, .total = 10'000'000});
  for (const char* client : {"a", "b", "c"}) crowd.add(client);
  crowd.pass(std::chrono::seconds(10));
  EXPECT_NEAR(static_cast<double>(crowd.total()), 100e6, 5e6);
}

TEST(Egress, ClientsGetTheSameHoweverManyConnectionsTheyOpen) {
  Crowd crowd({.client = 0, .total = 80'000'000});
  for (int i = 0; i < 30; ++i) crowd.add("greedy");
  crowd.add("modest");
  crowd.pass(std::chrono::seconds(10));
  const auto greedy = static_cast<double>(crowd.sent["greedy"]);
  const auto modest = static_cast<double>(crowd.sent["modest"]);
  // What came before the second client asked is the burst of an idle node.
  EXPECT_LT(greedy / modest, 1.2);
  EXPECT_GT(greedy / modest, 0.8);
}

TEST(Egress, OneClientIsHeldToItsOwnRateAndHoldsUpNobodyElse) {
  Crowd crowd({.client = 1'000'000, .total = 0});
  crowd.add("a");
  crowd.add("a");
  crowd.add("b");
  crowd.pass(std::chrono::seconds(10));
  EXPECT_NEAR(static_cast<double>(crowd.sent["a"]), 10e6, 1e6);
  EXPECT_NEAR(static_cast<double>(crowd.sent["b"]), 10e6, 1e6);
}

TEST(Egress, WhoWaitsForItsOwnRateDoesNotKeepTheTotalFromOthers) {
  Crowd crowd({.client = 1'000'000, .total = 2'500'000});
  for (const char* client : {"a", "b"}) crowd.add(client);
  crowd.pass(std::chrono::seconds(10));
  EXPECT_NEAR(static_cast<double>(crowd.sent["a"]), 10e6, 1e6);
  EXPECT_NEAR(static_cast<double>(crowd.sent["b"]), 10e6, 1e6);
}

TEST(Egress, ALimitThatIsLiftedLetsEverybodyGo) {
  EgressPlan plan;
  plan.set_limits({.client = 64'000, .total = 64'000});
  EgressClient client;
  std::vector<std::unique_ptr<EgressAsk>> asks;
  std::size_t queued = 0;
  for (int i = 0; i < 100; ++i) {
    asks.push_back(std::make_unique<EgressAsk>(EgressAsk{plan.piece()}));
    queued += plan.ask(client, *asks.back(), kStart) ? 0 : 1;
  }
  EXPECT_GT(queued, 90U);
  plan.set_limits({});
  std::vector<EgressAsk*> served;
  while (plan.distribute(kStart, served)) {
  }
  EXPECT_EQ(served.size(), queued);
}

TEST(Egress, PiecesOfASlowLimitAreSmall) {
  EgressPlan plan;
  plan.set_limits({.client = 64'000, .total = 0});
  EXPECT_LE(plan.piece(), 4096U);
  plan.set_limits({.client = 0, .total = 1'000'000'000});
  EXPECT_EQ(plan.piece(), 256U * 1024);
}

sockaddr_storage address_v6(std::uint8_t network, std::uint8_t host) {
  sockaddr_storage address{};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
  v6.sin6_family = AF_INET6;
  v6.sin6_addr.s6_addr[7] = network;
  v6.sin6_addr.s6_addr[15] = host;
  return address;
}

sockaddr_storage address_v4(std::uint8_t host) {
  sockaddr_storage address{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(0x0a000000U | host);
  return address;
}

TEST(Clients, AnIpv6NetworkIsOneClientAndIpv4AddressesAreMany) {
  EXPECT_EQ(ClientKey::of(address_v6(1, 1)), ClientKey::of(address_v6(1, 2)));
  EXPECT_NE(ClientKey::of(address_v6(1, 1)), ClientKey::of(address_v6(2, 1)));
  EXPECT_NE(ClientKey::of(address_v4(1)), ClientKey::of(address_v4(2)));
  sockaddr_storage unix_socket{};
  unix_socket.ss_family = AF_UNIX;
  EXPECT_FALSE(ClientKey::of(unix_socket));
}

TEST(Clients, APlaceThatIsGivenBackIsFree) {
  Clients clients;
  const ClientKey key = *ClientKey::of(address_v4(1));
  auto first = clients.enter(key, 2);
  auto second = clients.enter(key, 2);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(clients.enter(key, 2));
  EXPECT_TRUE(clients.enter(*ClientKey::of(address_v4(2)), 2));
  EXPECT_EQ(clients.size(), 1U);
  first.reset();
  EXPECT_TRUE(clients.enter(key, 2));
  EXPECT_TRUE(clients.enter(key, 0)) << "0 is no limit";
  second.reset();
  EXPECT_EQ(clients.size(), 0U);
}

TEST(Clients, WhatAClientWasSentCountsOnItsNextConnection) {
  Clients clients;
  const ClientKey key = *ClientKey::of(address_v4(1));
  std::uint64_t sent = 0;
  for (int i = 0; i < 100; ++i) {
    EgressPlan plan;  // nobody waits in it
    plan.set_limits({.client = 1'000'000, .total = 0});
    const auto place = clients.enter(key, 0);
    EgressAsk ask{plan.piece()};
    while (plan.ask(*place->egress(), ask, kStart)) sent += ask.bytes;
  }
  EXPECT_LT(sent, 300'000U) << "the burst of an idle client, once";
  EXPECT_EQ(clients.remembered(), 1U);
}

TEST(Clients, RemembersABoundedNumberAndOnlyWhoWasLimited) {
  Clients clients;
  clients.enter(*ClientKey::of(address_v4(1)), 0);
  EXPECT_EQ(clients.remembered(), 0U);
  for (std::uint32_t i = 0; i < 2 * Clients::kMostRemembered; ++i) {
    sockaddr_storage address = address_v4(0);
    reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = i;
    const auto place = clients.enter(*ClientKey::of(address), 0);
    place->egress()->bucket.refill(1'000'000, kStart);
  }
  EXPECT_GT(clients.remembered(), 0U);
  EXPECT_LE(clients.remembered(), Clients::kMostRemembered);
}

}  // namespace
}  // namespace larder::server
