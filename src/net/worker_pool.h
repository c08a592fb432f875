// A few threads for work that blocks (disk, SQL), with a bounded queue.
//
// Thread-safe. The destructor finishes what is queued, so whatever queued work refers to must
// outlive the pool.
#pragma once

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "net/loop.h"
#include "net/task.h"

namespace larder::net {

class WorkerPool {
 public:
  WorkerPool(std::size_t threads, std::size_t queue_limit);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full or the pool is ending; the work is dropped then.
  bool post(std::move_only_function<void()> work);

  // Runs `work` on a pool thread and returns its Result on the caller's loop; ResourceExhausted
  // when the queue is full.
  template <typename Work>
  Task<std::invoke_result_t<Work&>> run(Work work);

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::move_only_function<void()>> queue_;
  std::size_t queue_limit_;
  bool ending_ = false;
  std::vector<std::jthread> threads_;
};

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
      return pool.post([this, waiting, &loop] {
        outcome.emplace(work());
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
