#include "server/egress.h"

#include <algorithm>

namespace larder::server {

namespace {

constexpr std::uint64_t kSmallestPiece = 4 * 1024;
constexpr std::uint64_t kLargestPiece = 256 * 1024;
// A bucket holds what comes in this long, so that a connection that was idle starts at full speed.
constexpr double kBurstSeconds = 0.2;

std::uint64_t piece_of(std::uint64_t rate) {
  return rate == 0 ? kLargestPiece : std::clamp(rate / 16, kSmallestPiece, kLargestPiece);
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
  piece_ = std::min(piece_of(limits.client), piece_of(limits.total));
}

bool EgressPlan::ask(EgressClient& client, EgressAsk& ask, base::SteadyTime now) {
  if (limits_.client > 0) client.bucket.refill(limits_.client, now);
  if (limits_.total > 0) total_.refill(limits_.total, now);
  const bool client_may = client.asks.empty() && (limits_.client == 0 || client.bucket.has_any());
  const bool total_may = limits_.total == 0 || (!total_holds_up_ && total_.has_any());
  if (client_may && total_may) {
    if (limits_.client > 0) client.bucket.take(ask.bytes);
    if (limits_.total > 0) total_.take(ask.bytes);
    return true;
  }
  if (!total_may) total_holds_up_ = true;
  if (client.asks.empty()) ring_.push_back(&client);
  client.asks.push_back(&ask);
  return false;
}

bool EgressPlan::distribute(base::SteadyTime now, std::vector<EgressAsk*>& served) {
  if (limits_.total > 0) total_.refill(limits_.total, now);
  const std::size_t before = served.size();
  std::size_t passed_over = 0;
  for (std::size_t left = ring_.size(); left > 0; --left) {
    if (limits_.total > 0 && !total_.has_any()) break;
    EgressClient& client = *ring_.front();
    ring_.pop_front();
    if (limits_.client > 0) client.bucket.refill(limits_.client, now);
    if (limits_.client > 0 && !client.bucket.has_any()) {
      ring_.push_back(&client);
      ++passed_over;
      continue;
    }
    EgressAsk& ask = *client.asks.front();
    client.asks.pop_front();
    if (!client.asks.empty()) ring_.push_back(&client);
    if (limits_.client > 0) client.bucket.take(ask.bytes);
    if (limits_.total > 0) total_.take(ask.bytes);
    served.push_back(&ask);
  }
  const bool total_gives = limits_.total == 0 || total_.has_any();
  total_holds_up_ = limits_.total > 0 && (!total_gives || ring_.size() > passed_over);
  return total_gives && served.size() > before && !ring_.empty();
}

void Egress::set_limits(EgressLimits limits) {
  {
    const std::lock_guard lock(mutex_);
    plan_.set_limits(limits);
    piece_ = plan_.piece();
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
