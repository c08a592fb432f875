// A broadcast between threads: tasks wait for the next notification, any thread notifies.
//
// Waiters remember which notification they have seen, so that none is lost between looking at the
// state and waiting:
//
//   auto seen = signal.count();
//   if (!ready()) co_await signal.wait(seen, deadline);
#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "net/task.h"

namespace larder::net {

class Signal {
 public:
  Signal();
  ~Signal();  // no task may be waiting
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  // Thread-safe; does not block on waiters.
  void notify();
  std::uint64_t count() const;

  // Returns on the caller's loop: true when notify() was called after `seen` was read, false at the
  // deadline. Only inside a task that runs on a Loop.
  Task<bool> wait(std::uint64_t seen, base::SteadyTime deadline);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace larder::net
