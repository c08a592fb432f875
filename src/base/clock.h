// Time, passed in. Decisions take a WallTime or SteadyTime as a parameter; only the edges ask a
// Clock.
//
// Wall time is UTC in microseconds and may jump: it is for dates in certificates, tokens and HTTP.
// Steady time never jumps: it is for deadlines and intervals. Clock is thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>

#include "base/error.h"

namespace larder::base {

using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;
  virtual SteadyTime steady() const = 0;
};

// The machine's clock.
class SystemClock final : public Clock {
 public:
  WallTime wall() const override;
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

// A clock that stands still until a test moves it.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(WallTime start) : start_(start) {}
  WallTime wall() const override { return start_ + advanced_.load(); }
  SteadyTime steady() const override { return SteadyTime{} + advanced_.load(); }
  void advance(std::chrono::microseconds by) { advanced_.store(advanced_.load() + by); }

 private:
  WallTime start_;
  std::atomic<std::chrono::microseconds> advanced_{std::chrono::microseconds{0}};
};

// RFC 3339 in UTC with seconds: 2026-11-21T22:24:13Z.
std::string to_rfc3339(WallTime time);
// The same with microseconds, for files whose times are compared: 2026-11-21T22:24:13.000250Z.
std::string to_rfc3339_exact(WallTime time);
// Of a fraction six digits count, more are refused.
Result<WallTime> parse_rfc3339(std::string_view text);

// Whole seconds since 1970, as JWT's NumericDate.
inline std::int64_t to_unix_seconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}
inline WallTime from_unix_seconds(std::int64_t seconds) {
  return WallTime{std::chrono::seconds{seconds}};
}

}  // namespace larder::base
