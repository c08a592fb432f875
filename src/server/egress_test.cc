#include "server/egress.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "server/clients.h"

namespace larder::server {
namespace {

using std::chrono::milliseconds;

const base::SteadyTime kStart = base::SteadyTime{} + std::chrono::hours(1);

// Clients on a clock that only the test moves. Loops distribute at every tick, clients ask again a
// millisecond after they were served.
class Crowd {
 public:
  static constexpr std::uint64_t kEndless = 1 << 30;

  explicit Crowd(EgressLimits limits) { plan_.set_limits(limits); }

  // One connection, which asks for so much at a time.
  void add(const std::string& client, std::uint64_t bytes = kEndless) {
    asks_.push_back(std::make_unique<Wish>(client, bytes));
    asking_.push_back(asks_.back().get());
  }
  void pass(milliseconds time) {
    for (const base::SteadyTime end = now_ + time; now_ < end;) {
      now_ += milliseconds(1);
      for (Wish* wish : std::exchange(asking_, {})) {
        if (plan_.ask(clients_[wish->client], *wish, now_)) receive(*wish);
      }
      if (now_.time_since_epoch() % milliseconds(50) == milliseconds(0)) more_ = true;
      if (!std::exchange(more_, false)) continue;
      std::vector<EgressAsk*> served;
      more_ = plan_.distribute(now_, served);
      for (EgressAsk* ask : served) receive(static_cast<Wish&>(*ask));
    }
  }
  std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const auto& [client, bytes] : sent) sum += bytes;
    return sum;
  }
  // The longest time that a connection has been without a byte.
  milliseconds longest_wait() const {
    base::SteadyTime since = now_;
    milliseconds longest = longest_;
    for (const auto& wish : asks_) since = std::min(since, wish->served);
    return std::max(longest, std::chrono::duration_cast<milliseconds>(now_ - since));
  }
  std::map<std::string, std::uint64_t> sent;

 private:
  struct Wish : EgressAsk {
    Wish(std::string name, std::uint64_t bytes)
        : EgressAsk(share, bytes), client(std::move(name)), size(bytes) {}
    std::string client;
    std::uint64_t size;
    FairShare share;
    base::SteadyTime served = kStart;
  };
  void receive(Wish& wish) {
    EXPECT_GT(wish.granted, 0U);
    EXPECT_LE(wish.granted, wish.wanted);
    sent[wish.client] += wish.granted;
    longest_ = std::max(longest_, std::chrono::duration_cast<milliseconds>(now_ - wish.served));
    wish.served = now_;
    wish.wanted -= wish.granted;
    if (wish.wanted == 0) wish.wanted = wish.size;
    asking_.push_back(&wish);
  }
  EgressPlan plan_;
  std::map<std::string, EgressClient> clients_;
  std::vector<std::unique_ptr<Wish>> asks_;
  std::vector<Wish*> asking_;
  bool more_ = false;
  milliseconds longest_{0};
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

TEST(Egress, EachOfManyClientsHasATurnWithinASecond) {
  // 6,700 bytes a second each.
  Crowd crowd({.client = 0, .total = 4'000'000});
  for (int i = 0; i < 600; ++i) crowd.add("client " + std::to_string(i));
  crowd.pass(std::chrono::seconds(20));
  EXPECT_LE(crowd.longest_wait(), std::chrono::milliseconds(1300));
  for (const auto& [client, bytes] : crowd.sent) EXPECT_GE(bytes, 19U * 4000) << client;
}

TEST(Egress, EachOfManyConnectionsOfOneClientHasATurnWithinASecond) {
  for (const EgressLimits limits :
       {EgressLimits{.client = 0, .total = 2'000'000}, EgressLimits{.client = 2'000'000}}) {
    Crowd crowd(limits);
    for (int i = 0; i < 300; ++i) crowd.add("behind one address");
    crowd.pass(std::chrono::seconds(20));
    EXPECT_LE(crowd.longest_wait(), std::chrono::milliseconds(1300));
  }
}

TEST(Egress, WhoAsksForLittleAtATimeGetsAsMuchAsWhoAsksForMuch) {
  Crowd crowd({.client = 0, .total = 4'000'000});
  for (const char* client : {"a", "b", "c", "d"}) crowd.add(client);
  crowd.add("chunks", 64 * 1024);
  crowd.add("small answers", 4 * 1024);
  crowd.pass(std::chrono::seconds(20));
  const double share = 4e6 * 20 / 6;
  for (const auto& [client, bytes] : crowd.sent) {
    EXPECT_NEAR(static_cast<double>(bytes), share, share / 4) << client;
  }
}

TEST(Egress, WhoAsksForLittleAtATimeIsNotStarvedByConnectionsOfItsOwnClient) {
  Crowd crowd({.client = 0, .total = 4'000'000});
  for (int i = 0; i < 20; ++i) crowd.add("behind one address");
  crowd.pass(std::chrono::seconds(1));
  const std::uint64_t before = crowd.total();
  crowd.add("behind one address", 4 * 1024);
  crowd.pass(std::chrono::seconds(1));
  EXPECT_NEAR(static_cast<double>(crowd.total() - before), 4e6, 4e5) << "and the total is kept";
  EXPECT_LE(crowd.longest_wait(), std::chrono::milliseconds(1300));
}

TEST(Egress, NewClientsWithoutEndDoNotHoldUpAnOldOne) {
  EgressPlan plan;
  plan.set_limits({.client = 0, .total = 1'000'000});
  EgressClient old;
  FairShare connection;
  EgressAsk ask(connection, Crowd::kEndless);
  std::vector<std::unique_ptr<EgressClient>> crowd;
  std::vector<std::unique_ptr<EgressAsk>> asks;
  std::vector<std::unique_ptr<FairShare>> shares;
  std::uint64_t sent = 0;
  bool waits = false;
  for (milliseconds at(0); at < std::chrono::seconds(10); at += milliseconds(50)) {
    const base::SteadyTime now = kStart + at;
    if (!waits && plan.ask(old, ask, now)) {
      sent += ask.granted;
    } else {
      waits = true;
    }
    // As many bytes as the total allows, from addresses that were never seen.
    for (int i = 0; i < 12; ++i) {
      crowd.push_back(std::make_unique<EgressClient>());
      shares.push_back(std::make_unique<FairShare>());
      asks.push_back(std::make_unique<EgressAsk>(*shares.back(), 4096));
      plan.ask(*crowd.back(), *asks.back(), now);
    }
    std::vector<EgressAsk*> served;
    while (plan.distribute(now, served)) {
    }
    for (const EgressAsk* one : served) {
      if (one != &ask) continue;
      sent += one->granted;
      waits = false;
    }
  }
  EXPECT_GT(sent, 100'000U);
}

TEST(Egress, ALimitThatIsLiftedLetsEverybodyGo) {
  EgressPlan plan;
  plan.set_limits({.client = 64'000, .total = 64'000});
  EgressClient client;
  FairShare connection;
  std::vector<std::unique_ptr<EgressAsk>> asks;
  std::size_t queued = 0;
  for (int i = 0; i < 100; ++i) {
    asks.push_back(std::make_unique<EgressAsk>(connection, Crowd::kEndless));
    queued += plan.ask(client, *asks.back(), kStart) ? 0 : 1;
  }
  EXPECT_GT(queued, 90U);
  plan.set_limits({});
  std::vector<EgressAsk*> served;
  while (plan.distribute(kStart, served)) {
  }
  EXPECT_EQ(served.size(), queued);
  for (const EgressAsk* ask : served) EXPECT_EQ(ask->granted, Crowd::kEndless);
}

TEST(Egress, PiecesOfASlowLimitAreSmall) {
  FairShare connection;
  const auto granted = [&](EgressLimits limits) {
    EgressPlan plan;
    plan.set_limits(limits);
    EgressClient client;
    EgressAsk ask(connection, Crowd::kEndless);
    EXPECT_TRUE(plan.ask(client, ask, kStart));
    return ask.granted;
  };
  EXPECT_LE(granted({.client = 64'000, .total = 0}), 4096U);
  EXPECT_EQ(granted({.client = 0, .total = 1'000'000'000}), 256U * 1024);
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
    FairShare connection;
    EgressAsk ask(connection, Crowd::kEndless);
    while (plan.ask(*place->egress(), ask, kStart)) sent += ask.granted;
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
