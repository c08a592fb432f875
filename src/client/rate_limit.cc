#include "client/rate_limit.h"

#include <algorithm>
#include <ctime>

namespace larder::client {

namespace {

// The bucket holds what passes in this time, so that an idle line is no debt.
constexpr double kBurstSeconds = 0.05;
constexpr double kSmallestBurst = 32 * 1024;

}  // namespace

void RateLimit::set(std::shared_ptr<const RateSchedule> schedule) {
  const std::lock_guard lock(mutex_);
  schedule_ = std::move(schedule);
  looked_up_ = 0;
}

std::uint64_t RateLimit::rate(base::WallTime now) const {
  const std::int64_t second = base::to_unix_seconds(now);
  if (looked_up_ == second) return rate_;
  const std::lock_guard lock(mutex_);
  const std::time_t moment = second;
  std::tm local{};
  ::localtime_r(&moment, &local);
  rate_ = schedule_
              ? rate_at(*schedule_, (local.tm_wday + 6) % 7, local.tm_hour * 60 + local.tm_min)
              : kUnlimitedRate;
  looked_up_ = second;
  return rate_;
}

std::int64_t RateLimit::most_fills(base::WallTime now) const {
  const std::uint64_t allowed = rate(now);
  // A rate below one fill's share still feeds one.
  return static_cast<std::int64_t>(std::min<std::uint64_t>(
      INT64_MAX, allowed > 0 ? std::max<std::uint64_t>(allowed / kFeed, 1) : 0));
}

bool RateLimit::admit(bool must, base::WallTime now) {
  if (++fills_ <= most_fills(now) || must) return true;
  --fills_;
  return false;
}

bool RateLimit::has_room(base::SteadyTime now, base::WallTime wall) {
  const std::uint64_t allowed = rate(wall);
  if (allowed == kUnlimitedRate) {
    tokens_ = 0;
    filled_ = now;
    return true;
  }
  const double rate = static_cast<double>(allowed);
  const double passed = std::chrono::duration<double>(now - filled_).count();
  tokens_ = std::min(tokens_ + passed * rate, std::max(rate * kBurstSeconds, kSmallestBurst));
  filled_ = now;
  return tokens_ > 0;
}

void RateLimit::spend(std::uint64_t bytes) {
  tokens_ -= static_cast<double>(bytes);
}

}  // namespace larder::client
