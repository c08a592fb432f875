// One thread's event loop over epoll. Descriptors are registered once, edge-triggered: a wait costs
// no system call, which is what an event library spends per request on re-arming them.
//
// A Loop belongs to the thread that calls run(); only post() and stop() may be called from other
// threads. Tasks that wait are never destroyed while they wait: whoever wants one to end cancels
// what it waits for.
#pragma once

#include <chrono>
#include <coroutine>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "net/task.h"

namespace larder::net {

// Something with a deadline, checked by the loop's ticker a few times a second: one timer for ten
// thousand connections.
class Timed {
 public:
  Timed() = default;
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;
  virtual ~Timed() { unlink(); }

 protected:
  // On the loop thread, once, after the deadline. May resume a task and destroy the object.
  virtual void expire() = 0;

  base::SteadyTime deadline_ = base::SteadyTime::max();

 private:
  friend class Loop;
  void unlink();
  Timed* previous_ = nullptr;
  Timed* next_ = nullptr;
};

class Loop {
 public:
  // How late a deadline may be noticed.
  static constexpr std::chrono::milliseconds kTick{50};

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();   // until stop()
  void stop();  // thread-safe; what is posted already may not run any more
  void post(std::move_only_function<void()> work);  // thread-safe

  // Starts a task that nobody awaits; its frame goes when it ends. On the loop thread, or before
  // run().
  void spawn(Task<void> task);

  // The loop that runs on this thread; only inside run().
  static Loop& current();

  // Resumes it once everything else that is ready had its turn. Loop thread.
  void resume_later(std::coroutine_handle<> waiting);

  // The time at which the loop last woke up: good enough for deadlines. Loop thread.
  base::SteadyTime now() const { return now_; }

  void watch(Timed& timed);  // until it is destroyed

  // What sockets use. `target` null is not allowed; forget() before it goes.
  class Target {
   public:
    virtual void on_events(unsigned events) = 0;  // of epoll

   protected:
    ~Target() = default;
  };
  void register_fd(int fd, unsigned events, Target& target);
  void forget(Target& target);

 private:
  struct Impl;
  void tick();
  void wait_for_events();
  void run_posted();
  void run_turns();
  class ListHead final : public Timed {
    void expire() override {}
  };
  ListHead timed_;
  base::SteadyTime now_ = std::chrono::steady_clock::now();
  std::unique_ptr<Impl> impl_;
};

// Waits at least that long, to the precision of the loop's tick.
Task<void> sleep_for(std::chrono::milliseconds duration);

// Lets everything else that is ready go first.
class Yield {
 public:
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) { Loop::current().resume_later(waiting); }
  void await_resume() const {}
};
inline Yield yield() {
  return {};
}

}  // namespace larder::net
