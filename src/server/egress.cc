#include "server/egress.h"

#include <algorithm>

namespace larder::server {

namespace {

constexpr std::uint64_t kSmallestPiece = 4 * 1024;
constexpr std::uint64_t kLargestPiece = 256 * 1024;
// A bucket holds what comes in this long, so that a connection that was idle starts at full speed.
constexpr double kBurstSeconds = 0.2;

// Everybody who waits has a turn within this time, where the smallest piece allows it: Delivery
// Optimization leaves a source that gives it too little over seconds.
constexpr double kRoundSeconds = 0.5;
// How far ahead of the rate those may go who have had less than all others: a small answer does not
// wait for the next distribution.
constexpr double kAheadSeconds = 0.125;

// Of a rate that so many share.
std::uint64_t piece_of(std::uint64_t rate, std::size_t sharers) {
  if (rate == 0) return kLargestPiece;
  const double turn = static_cast<double>(rate) * kRoundSeconds / static_cast<double>(sharers);
  return std::min(rate / 16, static_cast<std::uint64_t>(turn));
}

}  // namespace

void TokenBucket::refill(std::uint64_t rate, base::SteadyTime now) {
  const double most =
      std::max(static_cast<double>(rate) * kBurstSeconds, static_cast<double>(kSmallestPiece));
  const double seconds = std::chrono::duration<double>(now - filled_).count();
  if (seconds > 0) tokens_ = std::min(most, tokens_ + seconds * static_cast<double>(rate));
  filled_ = std::max(filled_, now);
}

void EgressPlan::set_limits(EgressLimits limits) {
  limits_ = limits;
}

// The longest run of bytes that one of so many clients, with so many connections that wait, may
// send at once.
std::uint64_t EgressPlan::piece(std::size_t clients, std::size_t connections) const {
  if (limits_ == EgressLimits{}) return UINT64_MAX;
  return std::clamp(std::min(piece_of(limits_.client, connections),
                             piece_of(limits_.total, clients * connections)),
                    kSmallestPiece, kLargestPiece);
}

bool EgressPlan::own_limit_holds_up(EgressClient& client, base::SteadyTime now) const {
  if (limits_.client == 0) return false;
  client.bucket.refill(limits_.client, now);
  return !client.bucket.has_any();
}

// One ask of a client, which `connections` of it wait with.
void EgressPlan::grant(EgressClient& client, EgressAsk& ask, double start, std::size_t clients,
                       std::size_t connections) {
  ask.granted = std::min(ask.wanted, piece(clients, connections));
  client.asks.charge(ask.connection, start, ask.granted, connections);
  if (limits_.client > 0) client.bucket.take(ask.granted);
  if (limits_.total > 0) total_.take(ask.granted);
}

// As much as one piece, over the connections of a client.
std::uint64_t EgressPlan::serve_turn(EgressClient& client, std::size_t clients,
                                     std::vector<EgressAsk*>& served) {
  const std::size_t connections = client.asks.size();
  const std::uint64_t most = piece(clients, 1);
  client.asks.set_reach(piece(clients, connections));
  std::uint64_t given = 0;
  do {
    const auto [ask, start] = client.asks.pop();
    grant(client, *ask, start, clients, connections);
    given += ask->granted;
    served.push_back(ask);
  } while (!client.asks.empty() && given < most && total_gives() &&
           (limits_.client == 0 || client.bucket.has_any()));
  return given;
}

void EgressPlan::line_up(EgressClient& client) {
  const std::uint64_t most = piece(line_.size() + 1, 1);
  line_.set_reach(most);
  line_.push(client, client.share, std::min(client.asks.front().wanted, most));
}

bool EgressPlan::ask(EgressClient& client, EgressAsk& ask, base::SteadyTime now) {
  const std::size_t clients = line_.size() + 1;
  const std::size_t connections = client.asks.size() + 1;
  const std::uint64_t bytes = std::min(ask.wanted, piece(clients, connections));
  const bool is_held_up = own_limit_holds_up(client, now);
  client.asks.set_reach(piece(clients, connections));
  if (limits_.total > 0) total_.refill(limits_.total, now);
  if (connections == 1 && !is_held_up) {
    line_.set_reach(piece(clients, 1));
    const double start = line_.start(client.share);
    const bool total_may =
        limits_.total == 0 ||
        (line_.would_be_first(start, bytes) &&
         !total_.owes_more_than(static_cast<double>(limits_.total) * kAheadSeconds));
    if (total_may) {
      grant(client, ask, client.asks.start(ask.connection), clients, connections);
      line_.charge(client.share, start, ask.granted, clients);
      return true;
    }
  }
  client.asks.push(ask, ask.connection, bytes);
  if (connections > 1) return false;  // it is in one of the lines already
  if (is_held_up) {
    held_.push_back(&client);
  } else {
    line_up(client);
  }
  return false;
}

bool EgressPlan::distribute(base::SteadyTime now, std::vector<EgressAsk*>& served) {
  if (limits_.total > 0) total_.refill(limits_.total, now);
  std::erase_if(held_, [&](EgressClient* client) {
    if (own_limit_holds_up(*client, now)) return false;
    line_up(*client);
    return true;
  });
  const std::size_t before = served.size();
  const std::size_t clients = line_.size();
  while (!line_.empty() && total_gives()) {
    const auto [client, start] = line_.pop();
    if (own_limit_holds_up(*client, now)) {
      held_.push_back(client);
      continue;
    }
    line_.charge(client->share, start, serve_turn(*client, clients, served), clients);
    if (!client->asks.empty()) served_.push_back(client);
  }
  for (EgressClient* client : served_) line_up(*client);
  served_.clear();
  return total_gives() && served.size() > before && !line_.empty();
}

void Egress::set_limits(EgressLimits limits) {
  {
    const std::lock_guard lock(mutex_);
    plan_.set_limits(limits);
    on_ = limits.client > 0 || limits.total > 0;
  }
  while (serve_round()) {  // who waited for a limit that is gone
  }
}

bool Egress::Turn::await_suspend(std::coroutine_handle<> waiting) {
  waiting_ = waiting;
  loop_ = &net::Loop::current();
  const std::lock_guard lock(egress_.mutex_);
  // Once queued it may be named by another thread; the task is then resumed on this loop, which is
  // still busy here.
  return !egress_.plan_.ask(client_, *this, std::chrono::steady_clock::now());
}

bool Egress::serve_round() {
  std::vector<EgressAsk*> served;
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    more = plan_.distribute(std::chrono::steady_clock::now(), served);
  }
  for (EgressAsk* ask : served) {
    const auto* turn = static_cast<Turn*>(ask);
    turn->loop_->post([waiting = turn->waiting_] { waiting.resume(); });
  }
  return more;
}

void Egress::distribute() {
  if (serve_round()) net::Loop::current().post([this] { distribute(); });
}

}  // namespace larder::server
