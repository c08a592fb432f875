#include "net/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "base/unique_fd.h"

namespace larder::net {

namespace {

// Events taken by one call.
constexpr int kBatch = 256;

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
  void expire() override { waiting_.resume(); }
  std::coroutine_handle<> waiting_;
};

}  // namespace

void Timed::unlink() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  next_ = previous_ = nullptr;
}

struct Loop::Impl {
  base::UniqueFd epoll{::epoll_create1(EPOLL_CLOEXEC)};
  base::UniqueFd wake{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  base::SteadyTime next_tick{};
  // The events being handled; forget() clears those of a target that goes meanwhile.
  std::array<epoll_event, kBatch> events{};
  int event_count = 0;
  // Those that let others go first: since the last wait for events began, and before.
  std::vector<std::coroutine_handle<>> waiting_for_turn, having_turn;

  std::mutex mutex;  // guards posted
  std::vector<std::move_only_function<void()>> posted;
  std::atomic<bool> has_posted = false;  // spares the loop the lock
  std::atomic<bool> stopping = false;
};

Loop::Loop() : impl_(std::make_unique<Impl>()) {
  timed_.next_ = timed_.previous_ = &timed_;
  // Without these descriptors nothing can run: the limit of open files is far too low.
  if (!impl_->epoll || !impl_->wake) std::abort();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, impl_->wake.get(), &event);
}

Loop::~Loop() {
  // What still stands in the list is not ours; leave no pointer to us behind.
  while (timed_.next_ != &timed_) timed_.next_->unlink();
  timed_.next_ = timed_.previous_ = nullptr;
}

void Loop::run() {
  current_loop = this;
  while (!impl_->stopping) {
    run_posted();
    if (impl_->stopping) break;
    run_turns();
    impl_->having_turn.swap(impl_->waiting_for_turn);
    wait_for_events();
    if (now_ >= impl_->next_tick) tick();
  }
  current_loop = nullptr;
}

void Loop::stop() {
  impl_->stopping = true;
  post([] {});
}

void Loop::wait_for_events() {
  Impl& impl = *impl_;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(impl.next_tick - now_);
  const bool is_busy = !impl.having_turn.empty();
  const int timeout =
      is_busy ? 0 : static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, kTick.count()));
  impl.event_count = ::epoll_wait(impl.epoll.get(), impl.events.data(), kBatch, timeout);
  now_ = std::chrono::steady_clock::now();
  for (int i = 0; i < impl.event_count; ++i) {
    const epoll_event event = impl.events[static_cast<std::size_t>(i)];
    if (event.data.ptr != nullptr) {
      static_cast<Target*>(event.data.ptr)->on_events(event.events);
    } else if (event.events != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = ::read(impl.wake.get(), &count, sizeof count);
    }
  }
  impl.event_count = 0;
}

void Loop::register_fd(int fd, unsigned events, Target& target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &target;
  // A failure (out of memory, or of watches) shows as a wait that ends at its deadline.
  ::epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, fd, &event);
}

// The descriptor leaves epoll when it is closed.
void Loop::forget(Target& target) {
  for (int i = 0; i < impl_->event_count; ++i) {
    epoll_event& event = impl_->events[static_cast<std::size_t>(i)];
    if (event.data.ptr == &target) {
      event.data.ptr = nullptr;
      event.events = 0;
    }
  }
}

void Loop::run_posted() {
  if (!impl_->has_posted) return;
  std::vector<std::move_only_function<void()>> work;
  {
    const std::lock_guard lock(impl_->mutex);
    work.swap(impl_->posted);
    impl_->has_posted = false;
  }
  for (auto& one : work) one();
}

void Loop::resume_later(std::coroutine_handle<> waiting) {
  impl_->waiting_for_turn.push_back(waiting);
}

void Loop::run_turns() {
  for (const std::coroutine_handle<> waiting : impl_->having_turn) waiting.resume();
  impl_->having_turn.clear();
}

void Loop::post(std::move_only_function<void()> work) {
  // Under the lock also the wake-up: the loop may end, and be gone, once it has the work.
  const std::lock_guard lock(impl_->mutex);
  const bool first = impl_->posted.empty();
  impl_->posted.push_back(std::move(work));
  impl_->has_posted = true;
  if (!first) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(impl_->wake.get(), &one, sizeof one);
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
  const base::SteadyTime now = now_;
  impl_->next_tick = now + kTick;
  // First apart, then one by one: an expiry may resume a task that destroys others, which then
  // unlink themselves.
  ListHead expired;
  expired.next_ = expired.previous_ = &expired;
  for (Timed* timed = timed_.next_; timed != &timed_;) {
    Timed* const next = timed->next_;
    if (timed->deadline_ <= now) {
      timed->unlink();
      timed->next_ = expired.next_;
      timed->previous_ = &expired;
      expired.next_->previous_ = timed;
      expired.next_ = timed;
    }
    timed = next;
  }
  while (expired.next_ != &expired) {
    Timed& timed = *expired.next_;
    watch(timed);
    timed.deadline_ = base::SteadyTime::max();
    timed.expire();
  }
  expired.next_ = expired.previous_ = nullptr;
}

Task<void> sleep_for(std::chrono::milliseconds duration) {
  co_await SleepWait(duration);
}

}  // namespace larder::net
