// How many bytes a second clients get, each alone and all together, shared out fairly: while a
// limit holds somebody up, clients take turns, and the connections of one client take turns within
// its share. Costs nothing where no limit is set: connections then do not ask.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "net/loop.h"

namespace larder::server {

// Bytes a second; 0: no limit.
struct EgressLimits {
  std::uint64_t client = 0;
  std::uint64_t total = 0;
  bool operator==(const EgressLimits&) const = default;
};

// A token bucket that may go into debt by one piece: what is sent is never cut smaller than asked.
class TokenBucket {
 public:
  void refill(std::uint64_t rate, base::SteadyTime now);
  bool has_any() const { return tokens_ > 0; }
  bool was_used() const { return filled_ != base::SteadyTime{}; }
  void take(std::uint64_t bytes) { tokens_ -= static_cast<double>(bytes); }

 private:
  double tokens_ = 0;
  base::SteadyTime filled_{};
};

struct EgressAsk {
  std::uint64_t bytes = 0;  // at most EgressPlan::piece()
};

// What the plan knows of one client.
struct EgressClient {
  TokenBucket bucket;
  std::deque<EgressAsk*> asks;  // in turn
};

// The decisions, with the time passed in. Not thread-safe.
class EgressPlan {
 public:
  // Debts and credits are kept.
  void set_limits(EgressLimits limits);
  EgressLimits limits() const { return limits_; }
  // Longest run of bytes that is asked for at once.
  std::uint64_t piece() const { return piece_; }

  // True: may be sent now. False: queued until distribute() names it; `client` and `ask` stay where
  // they are until then.
  bool ask(EgressClient& client, EgressAsk& ask, base::SteadyTime now);
  // One round: appends those who may send now, at most one ask of each client. True when there is
  // more to give: call again when those who were served have had time to ask again, else a client
  // with many connections gets the turns of those that have one.
  bool distribute(base::SteadyTime now, std::vector<EgressAsk*>& served);

 private:
  EgressLimits limits_;
  std::uint64_t piece_ = 0;
  TokenBucket total_;
  bool total_holds_up_ = false;     // somebody waits for a turn in `total_`
  std::deque<EgressClient*> ring_;  // clients with asks, in turn
};

// The plan, shared by all loops. Thread-safe.
class Egress {
 public:
  void set_limits(EgressLimits limits);
  bool is_on() const { return on_.load(std::memory_order_relaxed); }
  std::uint64_t piece() const { return piece_.load(std::memory_order_relaxed); }

  // Waits for the turn of `bytes` (at most piece()) of that client. Only inside a task on a Loop;
  // `client` outlives it. What bounds the wait is that a limit is never 0 and turns go round.
  class Turn : private EgressAsk {
   public:
    Turn(Egress& egress, EgressClient& client, std::uint64_t wanted)
        : egress_(egress), client_(client) {
      bytes = wanted;
    }
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> waiting);
    void await_resume() {}

   private:
    friend class Egress;
    Egress& egress_;
    EgressClient& client_;
    net::Loop* loop_ = nullptr;
    std::coroutine_handle<> waiting_;
  };
  Turn turn(EgressClient& client, std::uint64_t bytes) { return {*this, client, bytes}; }

  // Lets those go whose turn has come. On a loop, from its ticker.
  void distribute();

 private:
  bool serve_round();

  std::mutex mutex_;  // guards plan_ and every EgressClient
  EgressPlan plan_;
  std::atomic<bool> on_ = false;
  std::atomic<std::uint64_t> piece_ = 0;
};

}  // namespace larder::server
