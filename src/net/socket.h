// A non-blocking descriptor (TCP, unix or any pollable one) whose readiness a task can await.
//
// The caller reads and writes with plain system calls and waits only after EAGAIN, so a ready
// socket costs no detour through the loop. Belongs to its loop's thread.
#pragma once

#include <coroutine>
#include <memory>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "net/loop.h"

namespace larder::net {

class Socket final : private Timed {
 public:
  // `fd` must be non-blocking.
  Socket(Loop& loop, base::UniqueFd fd);
  ~Socket() override;

  int fd() const { return fd_; }

  enum class Direction { Read, Write };
  class Wait {
   public:
    Wait(Socket& socket, Direction direction, base::SteadyTime deadline)
        : socket_(socket), direction_(direction), deadline_(deadline) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      waiting_ = waiting;
      socket_.start(*this);
    }
    bool await_resume() const { return ready_; }

   private:
    friend class Socket;
    Socket& socket_;
    Direction direction_;
    base::SteadyTime deadline_;
    std::coroutine_handle<> waiting_;
    bool ready_ = false;
  };

  // True when reading (writing) may make progress or would tell of an error; false at the deadline
  // or after cancel(). One wait at a time.
  Wait readable(base::SteadyTime deadline) { return Wait(*this, Direction::Read, deadline); }
  Wait writable(base::SteadyTime deadline) { return Wait(*this, Direction::Write, deadline); }

  // Ends the wait that is running and every later one with false.
  void cancel();

 private:
  void expire() override;
  void start(Wait& wait);

  struct Impl;
  std::unique_ptr<Impl> impl_;
  int fd_;
  bool cancelled_ = false;
};

}  // namespace larder::net
