// A non-blocking descriptor (TCP, unix or any pollable one) whose readiness a task can await.
//
// The caller reads and writes with plain system calls and waits only after EAGAIN, so a ready
// socket costs no detour through the loop. Belongs to its loop's thread.
#pragma once

#include <coroutine>
#include <utility>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "net/loop.h"

namespace larder::net {

class Socket final : private Timed, private Loop::Target {
 public:
  // Edge: wait only after a call said EAGAIN or read less than there was room for. Level: for
  // listening sockets.
  enum class Trigger { Edge, Level };
  // `fd` must be non-blocking.
  Socket(Loop& loop, base::UniqueFd fd, Trigger trigger = Trigger::Edge);
  ~Socket() override;

  int fd() const { return fd_.get(); }

  enum class Direction { Read, Write };
  class Wait {
   public:
    Wait(Socket& socket, Direction direction, base::SteadyTime deadline)
        : socket_(socket), direction_(direction), deadline_(deadline) {}
    bool await_ready() {
      if (direction_ != Direction::Read || !std::exchange(socket_.missed_read_, false))
        return false;
      ready_ = !socket_.cancelled_;
      return true;
    }
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

  // Ends the wait that is running and every later one with false, at the loop's next tick.
  void cancel();

  // The peer has reset the connection, or was not heard of for too long: nothing can be sent any
  // more. One that has only ended its own direction is still there.
  bool is_hung_up() const;

  // From now on the connection is reset when it is closed, however the process ends: the peer gets
  // to know that something is missing. What the kernel still holds for it is dropped then.
  void reset_when_closed(bool on);

  // Before each read: what arrived up to now is about to be seen.
  void forget_missed_read() { missed_read_ = false; }

 private:
  void expire() override;
  void on_events(unsigned events) override;
  void start(Wait& wait);
  void resume(bool ready);

  Loop& loop_;
  base::UniqueFd fd_;
  Wait* wait_ = nullptr;
  bool cancelled_ = false;
  bool missed_read_ = false;  // bytes or an end came while nobody waited for them
};

}  // namespace larder::net
