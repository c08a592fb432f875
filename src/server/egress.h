// How many bytes a second clients get, each alone and all together, shared out fairly: while a
// limit holds somebody up, clients get the same number of bytes, and the connections of one client
// the same within its share. Costs nothing where no limit is set: connections then do not ask.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "net/loop.h"
#include "server/fair_queue.h"

namespace larder::server {

// Bytes a second; 0: no limit.
struct EgressLimits {
  std::uint64_t client = 0;
  std::uint64_t total = 0;
  bool operator==(const EgressLimits&) const = default;
};

// A token bucket that may go into debt by one piece.
class TokenBucket {
 public:
  void refill(std::uint64_t rate, base::SteadyTime now);
  bool has_any() const { return tokens_ > 0; }
  bool owes_more_than(double bytes) const { return tokens_ < -bytes; }
  bool was_used() const { return filled_ != base::SteadyTime{}; }
  void take(std::uint64_t bytes) { tokens_ -= static_cast<double>(bytes); }

 private:
  double tokens_ = 0;
  base::SteadyTime filled_{};
};

// Bytes that a connection wants to send, and how many of them it may.
struct EgressAsk {
  EgressAsk(FairShare& connection, std::uint64_t wanted) : connection(connection), wanted(wanted) {}
  FairShare& connection;  // among those of its client
  std::uint64_t wanted;
  std::uint64_t granted = 0;
};

// What is remembered of one client.
struct EgressHistory {
  TokenBucket bucket;
  FairShare share;  // among the clients
  bool was_used() const { return bucket.was_used() || share.due > 0; }
};

struct EgressClient : EgressHistory {
  FairQueue<EgressAsk> asks;
};

// The decisions, with the time passed in. Not thread-safe.
class EgressPlan {
 public:
  // Debts and credits are kept.
  void set_limits(EgressLimits limits);
  EgressLimits limits() const { return limits_; }

  // True: `ask.granted` bytes may be sent now. False: queued until distribute() names it; `client`
  // and `ask` stay where they are until then.
  bool ask(EgressClient& client, EgressAsk& ask, base::SteadyTime now);
  // One round: appends those who may send now, each client at most one piece. True when there is
  // more to give: call again when those who were served have had time to ask again, else a client
  // with many connections gets the turns of those that have one.
  bool distribute(base::SteadyTime now, std::vector<EgressAsk*>& served);

 private:
  bool own_limit_holds_up(EgressClient& client, base::SteadyTime now) const;
  std::uint64_t piece(std::size_t clients, std::size_t connections) const;
  void line_up(EgressClient& client);
  bool total_gives() const { return limits_.total == 0 || total_.has_any(); }
  void grant(EgressClient& client, EgressAsk& ask, double start, std::size_t clients,
             std::size_t connections);
  std::uint64_t serve_turn(EgressClient& client, std::size_t clients,
                           std::vector<EgressAsk*>& served);

  EgressLimits limits_;
  TokenBucket total_;
  FairQueue<EgressClient> line_;       // clients with asks
  std::vector<EgressClient*> held_;    // clients with asks whose own limit holds them up
  std::vector<EgressClient*> served_;  // of the running round, with more asks
};

// The plan, shared by all loops. Thread-safe.
class Egress {
 public:
  void set_limits(EgressLimits limits);
  bool is_on() const { return on_.load(std::memory_order_relaxed); }

  // Waits for the turn of a connection of that client and gives how many of the wanted bytes it may
  // send then: at least one. Only inside a task on a Loop; `client` and `connection` outlive it.
  // What bounds the wait is that a limit is never 0 and turns go round.
  class Turn : private EgressAsk {
   public:
    Turn(Egress& egress, EgressClient& client, FairShare& connection, std::uint64_t wanted)
        : EgressAsk(connection, wanted), egress_(egress), client_(client) {}
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> waiting);
    std::uint64_t await_resume() const { return granted; }

   private:
    friend class Egress;
    Egress& egress_;
    EgressClient& client_;
    net::Loop* loop_ = nullptr;
    std::coroutine_handle<> waiting_;
  };
  Turn turn(EgressClient& client, FairShare& connection, std::uint64_t wanted) {
    return {*this, client, connection, wanted};
  }

  // Lets those go whose turn has come. On a loop, from its ticker.
  void distribute();

 private:
  bool serve_round();

  std::mutex mutex_;  // guards plan_ and every EgressClient
  EgressPlan plan_;
  std::atomic<bool> on_ = false;
};

}  // namespace larder::server
