#include "net/handshake_turns.h"

namespace larder::net {

HandshakeTurns& HandshakeTurns::current() {
  thread_local HandshakeTurns turns;
  return turns;
}

// The loop's time moves once a turn.
bool HandshakeTurns::has_time() {
  if (const base::SteadyTime now = Loop::current().now(); now != turn_) {
    turn_ = now;
    spent_ = {};
  }
  return spent_ < kShare;
}

void HandshakeTurns::wait(std::coroutine_handle<> waiting) {
  waiting_.push_back(waiting);
  if (waiting_.size() == 1) Loop::current().post([this] { resume_some(); });
}

// Posted work runs between two turns, so those that have waited go before those that come.
void HandshakeTurns::resume_some() {
  spent_ = {};
  turn_ = Loop::current().now();
  while (!waiting_.empty() && spent_ < kShare) {
    const std::coroutine_handle<> next = waiting_.front();
    waiting_.pop_front();
    next.resume();
  }
  if (!waiting_.empty()) Loop::current().post([this] { resume_some(); });
}

}  // namespace larder::net
