// How many of a server's accept loops and connections have not ended, for who waits for their end.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "base/clock.h"

namespace larder::server {

// Thread-safe.
class RunningTasks {
 public:
  void begin() {
    const std::lock_guard lock(mutex_);
    ++running_;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    --running_;
    ++ended_;
    changed_.notify_all();
  }
  // Ever.
  std::size_t ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  // Both: false at the deadline.
  bool wait_until_none(base::SteadyTime deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [this] { return running_ == 0; });
  }
  // Until more than `seen` have ended.
  bool wait_for_more_ended(std::size_t seen, base::SteadyTime deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [&] { return ended_ != seen; });
  }

 private:
  mutable std::mutex mutex_;  // guards what follows
  std::size_t running_ = 0;
  std::size_t ended_ = 0;
  std::condition_variable changed_;
};

}  // namespace larder::server
