#include "store/operations.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"

namespace larder::store {
namespace {

// Taken, but the time is another drive's.
constexpr std::int64_t kIsElsewhere = std::numeric_limits<std::int64_t>::max();

thread_local Operation* innermost = nullptr;

}  // namespace

std::int64_t Operations::steady_now() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady().time_since_epoch())
      .count();
}

bool Operations::is_hanging() const {
  const std::int64_t limit = steady_now() - kHangsAfter.count();
  return std::ranges::any_of(began_, [limit](const auto& place) {
    const std::int64_t began = place.load(std::memory_order_relaxed);
    return began != 0 && began <= limit;
  });
}

base::Error Operations::hangs() const {
  return {base::ErrorCode::Unavailable, "the drive " + path_ + " does not answer"};
}

Operation::Operation(Operations& operations) : operations_(operations) {
  if (operations.is_hanging()) {
    is_refused_ = true;
    if (!operations.is_told_.exchange(true)) {
      base::log_error("a drive does not answer and is not used until it does",
                      {{"path", operations.path_}});
    }
    return;
  }
  outer_ = std::exchange(innermost, this);
  restart_outer(kIsElsewhere);
  const std::int64_t now = std::max<std::int64_t>(operations.steady_now(), 1);
  for (auto& place : operations.began_) {
    std::int64_t free = 0;
    if (place.load(std::memory_order_relaxed) == 0 && place.compare_exchange_strong(free, now)) {
      began_ = &place;
      return;
    }
  }
}

Operation::~Operation() {
  if (is_refused_) return;
  innermost = outer_;
  restart_outer(std::max<std::int64_t>(operations_.steady_now(), 1));
  if (began_ == nullptr) return;
  began_->store(0);
  if (operations_.is_told_ && !operations_.is_hanging() && operations_.is_told_.exchange(false)) {
    base::log_info("a drive answers again", {{"path", operations_.path_}});
  }
}

void Operation::restart_outer(std::int64_t began) const {
  if (outer_ == nullptr || &outer_->operations_ == &operations_) return;
  for (const Operation* outer = outer_;
       outer != nullptr && &outer->operations_ == &outer_->operations_; outer = outer->outer_) {
    if (outer->began_ != nullptr) outer->began_->store(began);
  }
}

}  // namespace larder::store
