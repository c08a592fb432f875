// One value for many readers, replaced as a whole: readers keep what they got for as long as they
// hold it. Thread-safe. (std::atomic of a shared_ptr is not free of races in the standard library
// that we build with.)
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace larder::base {

template <typename T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> value = nullptr) : value_(std::move(value)) {}
  std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void set(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);  // the old one goes after the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace larder::base
