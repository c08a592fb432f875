// Operations: the calls that block on one drive's files at this moment.
//
// A drive can stop to answer without an error (a cable, a network file system, a disk that retries
// for minutes). Its calls cannot be taken back, so those under way are watched, and once one of
// them has lasted too long no other is begun: each would only take another thread.
//
// Thread-safe, never blocking.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/error.h"

namespace larder::store {

class Operations {
 public:
  // Disks that retry a sector give up after seven seconds as a rule; what works takes milliseconds.
  static constexpr std::chrono::microseconds kHangsAfter = std::chrono::seconds(5);

  Operations(std::string path, const base::Clock& clock) : path_(std::move(path)), clock_(clock) {}

  // True while an operation has been under way for kHangsAfter or longer.
  bool is_hanging() const;
  // What those are told who did not get what they asked of the drive. Unavailable.
  base::Error hangs() const;

 private:
  friend class Operation;
  static constexpr std::size_t kMostWatched = 64;

  std::int64_t steady_now() const;

  const std::string path_;
  const base::Clock& clock_;
  // When each began, in steady microseconds; 0: a free place.
  std::array<std::atomic<std::int64_t>, kMostWatched> began_{};
  std::atomic<bool> is_told_ = false;  // the log was told that it hangs
};

// One of them, for as long as it is under way. Refused when the drive hangs: it is not to be begun.
// While a thread has begun one on another drive within it, the time is that drive's: one that hangs
// must not make those look so that are waiting for it. Ended by the thread that began it, the last
// one first.
class Operation {
 public:
  explicit Operation(Operations& operations);
  ~Operation();
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  bool is_refused() const { return is_refused_; }

 private:
  // Of the operations around this one, when they are on another drive.
  void restart_outer(std::int64_t began) const;

  Operations& operations_;
  Operation* outer_ = nullptr;  // of this thread
  std::atomic<std::int64_t>* began_ = nullptr;
  bool is_refused_ = false;
};

}  // namespace larder::store
