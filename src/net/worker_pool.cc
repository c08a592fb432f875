#include "net/worker_pool.h"

#include <algorithm>

namespace larder::net {

WorkerPool::WorkerPool(std::size_t threads, std::size_t queue_limit,
                       std::optional<Patience> patience)
    : threads_wanted_(threads), queue_limit_(queue_limit), patience_(patience) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  if (patience_) looking_ = std::jthread([this] { look_after(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  ended_.notify_all();
  // It starts threads, and what it tells may be told to others only while all of this is there.
  if (looking_.joinable()) looking_.join();
}

bool WorkerPool::post(std::move_only_function<void()> work) {
  auto job = std::make_shared<Job>();
  job->work = std::move(work);
  return add(std::move(job));
}

bool WorkerPool::add(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_ || queue_.size() >= queue_limit_) return false;
    if (patience_) {
      job->posted = std::chrono::steady_clock::now();
      job->place = unfinished_.insert(unfinished_.end(), job);
    }
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void WorkerPool::serve() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      if (patience_) job->started = std::chrono::steady_clock::now();
    }
    job->work();
    if (!patience_) continue;
    const std::lock_guard lock(mutex_);
    unfinished_.erase(job->place);
  }
}

void WorkerPool::look_after() {
  for (;;) {
    Jobs late;
    {
      std::unique_lock lock(mutex_);
      if (ended_.wait_for(lock, patience_->between_looks, [this] { return ending_; })) return;
      const base::SteadyTime now = std::chrono::steady_clock::now();
      make_up_for_stuck_locked(now);
      late = take_late_locked(now);
    }
    for (const std::shared_ptr<Job>& job : late) job->late();
  }
}

WorkerPool::Jobs WorkerPool::take_late_locked(base::SteadyTime now) {
  Jobs late;
  for (const std::shared_ptr<Job>& job : unfinished_) {
    if (now - job->posted < patience_->for_outcome) break;
    if (job->late && !std::exchange(job->is_told, true)) late.push_back(job);
  }
  return late;
}

void WorkerPool::make_up_for_stuck_locked(base::SteadyTime now) {
  const auto stuck =
      static_cast<std::size_t>(std::ranges::count_if(unfinished_, [&](const auto& job) {
        return job->started && now - *job->started >= patience_->for_thread;
      }));
  while (threads_.size() < threads_wanted_ + stuck && threads_.size() < patience_->most_threads) {
    threads_.emplace_back([this] { serve(); });
  }
}

}  // namespace larder::net
