#include "net/loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <cstdlib>

#include "net/loop_impl.h"

namespace larder::net {

namespace {

thread_local Loop* current_loop = nullptr;

// A coroutine that owns itself.
struct Detached {
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

Detached run_detached(Task<void> task) {
  co_await std::move(task);
}

class SleepWait final : public Timed {
 public:
  explicit SleepWait(std::chrono::milliseconds duration) {
    deadline_ = std::chrono::steady_clock::now() + duration;
  }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    Loop::current().watch(*this);
  }
  void await_resume() {}

 private:
  void expire() override {
    Loop::current().post([waiting = waiting_] { waiting.resume(); });
  }
  std::coroutine_handle<> waiting_;
};

}  // namespace

void Timed::unlink() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  next_ = previous_ = nullptr;
}

Loop::Loop() : impl_(std::make_unique<Impl>()) {
  timed_.next_ = timed_.previous_ = &timed_;
}

Loop::~Loop() {
  // What still stands in the list is not ours; leave no pointer to us behind.
  while (timed_.next_ != &timed_) timed_.next_->unlink();
  timed_.next_ = timed_.previous_ = nullptr;
}

void Loop::run() {
  current_loop = this;
  const auto guard = boost::asio::make_work_guard(impl_->context);
  tick();
  impl_->context.run();
  current_loop = nullptr;
}

void Loop::stop() {
  impl_->context.stop();
}

void Loop::post(std::move_only_function<void()> work) {
  boost::asio::post(impl_->context, std::move(work));
}

void Loop::spawn(Task<void> task) {
  if (current_loop == this) {
    run_detached(std::move(task));
    return;
  }
  post([task = std::move(task)]() mutable { run_detached(std::move(task)); });
}

Loop& Loop::current() {
  if (current_loop == nullptr) std::abort();
  return *current_loop;
}

void Loop::watch(Timed& timed) {
  timed.unlink();
  timed.next_ = timed_.next_;
  timed.previous_ = &timed_;
  timed_.next_->previous_ = &timed;
  timed_.next_ = &timed;
}

void Loop::tick() {
  const base::SteadyTime now = std::chrono::steady_clock::now();
  for (Timed* timed = timed_.next_; timed != &timed_;) {
    Timed* next = timed->next_;
    if (timed->deadline_ <= now) {
      timed->deadline_ = base::SteadyTime::max();
      timed->expire();
    }
    timed = next;
  }
  impl_->ticker.expires_after(kTick);
  impl_->ticker.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

Task<void> sleep_for(std::chrono::milliseconds duration) {
  co_await SleepWait(duration);
}

}  // namespace larder::net
