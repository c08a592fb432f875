#include "net/signal.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "net/loop.h"

namespace larder::net {

namespace {

// Outlives both sides: the notifier posts to the loop, and the waiter may have timed out meanwhile.
struct Waiter {
  Loop* loop = nullptr;
  std::coroutine_handle<> waiting;  // loop thread; null once resumed
  bool notified = false;            // loop thread
};

}  // namespace

struct Signal::State {
  mutable std::mutex mutex;
  std::uint64_t count = 0;
  std::vector<std::shared_ptr<Waiter>> waiters;
};

namespace {

class SignalWait final : public Timed {
 public:
  SignalWait(std::shared_ptr<Waiter> waiter, base::SteadyTime deadline)
      : waiter_(std::move(waiter)) {
    deadline_ = deadline;
  }
  bool await_ready() const { return waiter_ == nullptr; }
  void await_suspend(std::coroutine_handle<> waiting) {
    waiter_->waiting = waiting;
    waiter_->loop->watch(*this);
  }
  bool await_resume() const { return waiter_ == nullptr || waiter_->notified; }

 private:
  void expire() override {
    if (waiter_->waiting) std::exchange(waiter_->waiting, nullptr).resume();
  }
  std::shared_ptr<Waiter> waiter_;
};

}  // namespace

Signal::Signal() : state_(std::make_unique<State>()) {}
Signal::~Signal() = default;

void Signal::notify() {
  std::vector<std::shared_ptr<Waiter>> waiters;
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->count;
    waiters.swap(state_->waiters);
  }
  for (std::shared_ptr<Waiter>& waiter : waiters) {
    Loop* loop = waiter->loop;
    loop->post([waiter = std::move(waiter)] {
      if (!waiter->waiting) return;
      waiter->notified = true;
      std::exchange(waiter->waiting, nullptr).resume();
    });
  }
}

std::uint64_t Signal::count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->count;
}

Task<bool> Signal::wait(std::uint64_t seen, base::SteadyTime deadline) {
  std::shared_ptr<Waiter> waiter;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->count == seen) {
      waiter = std::make_shared<Waiter>();
      waiter->loop = &Loop::current();
      state_->waiters.push_back(waiter);
    }
  }
  const bool notified = co_await SignalWait(waiter, deadline);
  if (!notified) {
    const std::lock_guard lock(state_->mutex);
    std::erase(state_->waiters, waiter);
  }
  co_return notified;
}

}  // namespace larder::net
