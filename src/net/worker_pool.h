// A few threads for work that blocks (disk, SQL), with a bounded queue.
//
// With Patience, nobody waits longer than that for an outcome, and threads whose work does not come
// back (a drive that hangs) are made up for by others, so that the rest goes on. Work may then
// still run when its outcome is settled: it must own all that it uses.
//
// Thread-safe. The destructor finishes what is queued, so whatever queued work refers to must
// outlive the pool.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "net/loop.h"
#include "net/task.h"

namespace larder::net {

class WorkerPool {
 public:
  struct Patience {
    // From post to the outcome, give or take the time between two looks.
    std::chrono::milliseconds for_outcome{0};
    // Work that runs for longer does not count as a thread that is there.
    std::chrono::milliseconds for_thread{0};
    std::chrono::milliseconds between_looks{500};
    std::size_t most_threads = 0;
  };

  WorkerPool(std::size_t threads, std::size_t queue_limit,
             std::optional<Patience> patience = std::nullopt);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full or the pool is ending; the work is dropped then.
  bool post(std::move_only_function<void()> work);

  // Runs `work` on a pool thread. `done` gets its Result, on that thread, or DeadlineExceeded, on
  // the thread that looks after the pool: exactly one of them, once. False as above; `done` is not
  // called then.
  template <typename Work, typename Done>
  bool post(Work work, Done done);

  // Runs `work` on a pool thread and returns its Result on the caller's loop; ResourceExhausted
  // when the queue is full, DeadlineExceeded when patience has ended.
  template <typename Work>
  Task<std::invoke_result_t<Work&>> run(Work work);

 private:
  struct Job;
  using Jobs = std::list<std::shared_ptr<Job>>;
  struct Job {
    std::move_only_function<void()> work;
    std::move_only_function<void()> late;  // null: nobody waits for it
    bool is_told = false;                  // that it is late
    base::SteadyTime posted{};
    std::optional<base::SteadyTime> started{};
    Jobs::iterator place{};  // in unfinished_
  };

  bool add(std::shared_ptr<Job> job);
  void serve();
  void look_after();
  Jobs take_late_locked(base::SteadyTime now);
  void make_up_for_stuck_locked(base::SteadyTime now);

  const std::size_t threads_wanted_;
  const std::size_t queue_limit_;
  const std::optional<Patience> patience_;
  std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  std::condition_variable ended_;
  std::deque<std::shared_ptr<Job>> queue_;
  Jobs unfinished_;  // queued or running, oldest first; empty without patience
  bool ending_ = false;
  std::vector<std::jthread> threads_;
  std::jthread looking_;
};

template <typename Work, typename Done>
bool WorkerPool::post(Work work, Done done) {
  using Outcome = std::invoke_result_t<Work&>;
  struct Settling {
    explicit Settling(Done done_with) : done(std::move(done_with)) {}
    void settle(Outcome outcome) {
      if (!is_settled.exchange(true)) done(std::move(outcome));
    }
    Done done;
    std::atomic<bool> is_settled = false;
  };
  const auto settling = std::make_shared<Settling>(std::move(done));
  auto job = std::make_shared<Job>();
  job->work = [settling, work = std::move(work)]() mutable { settling->settle(work()); };
  if (patience_) {
    job->late = [settling] {
      settling->settle(
          base::fail(base::ErrorCode::DeadlineExceeded, "it has not come back in time"));
    };
  }
  return add(std::move(job));
}

template <typename Work>
Task<std::invoke_result_t<Work&>> WorkerPool::run(Work work) {
  using Outcome = std::invoke_result_t<Work&>;
  struct Wait {
    WorkerPool& pool;
    Work& work;
    std::optional<Outcome> outcome;
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> waiting) {
      Loop& loop = Loop::current();
      return pool.post(std::move(work), [this, waiting, &loop](Outcome settled) {
        outcome.emplace(std::move(settled));
        loop.post([waiting] { waiting.resume(); });
      });
    }
    Outcome await_resume() {
      if (outcome) return std::move(*outcome);
      return base::fail(base::ErrorCode::ResourceExhausted, "too much work is queued");
    }
  };
  co_return co_await Wait{*this, work, std::nullopt};
}

}  // namespace larder::net
