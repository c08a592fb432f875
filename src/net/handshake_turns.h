// Lets handshakes have a bounded share of a loop, so that a flood of new clients does not starve
// those that download: signing costs a thousand times what passing on a buffer does.
#pragma once

#include <chrono>
#include <coroutine>
#include <deque>

#include "base/clock.h"
#include "net/loop.h"

namespace larder::net {

// Of one loop, on its thread.
class HandshakeTurns {
 public:
  // What handshakes may take of one turn of the loop; the one that begins within it still ends.
  static constexpr std::chrono::microseconds kShare{1000};

  // co_await turns.next(); then one step of a handshake, then spent(). At once while the turn has
  // time left and nobody waits, else in the order of arrival in a later turn.
  class Next {
   public:
    explicit Next(HandshakeTurns& turns) : turns_(turns) {}
    bool await_ready() const { return turns_.waiting_.empty() && turns_.has_time(); }
    void await_suspend(std::coroutine_handle<> waiting) { turns_.wait(waiting); }
    void await_resume() const {}

   private:
    HandshakeTurns& turns_;
  };
  Next next() { return Next(*this); }
  void spent(std::chrono::nanoseconds time) { spent_ += time; }

  static HandshakeTurns& current();

 private:
  bool has_time();
  void wait(std::coroutine_handle<> waiting);
  void resume_some();

  base::SteadyTime turn_{};
  std::chrono::nanoseconds spent_{};
  std::deque<std::coroutine_handle<>> waiting_;  // at most one for each connection
};

}  // namespace larder::net
