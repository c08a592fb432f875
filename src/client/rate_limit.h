// A cap on what comes from origins, shared by many transfers: a bucket that fills at the rate of a
// schedule, and the number of fills that this rate can feed.
//
// set, admit and rate are thread-safe; the rest belongs to the origin thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/clock.h"
#include "client/rate_schedule.h"

namespace larder::client {

class RateLimit {
 public:
  // What each fill gets at least: a Delivery Optimization client that gets less than 4000 bytes a
  // second for 20 s avoids the node for all origins, and transfers come in bursts.
  static constexpr std::uint64_t kFeed = 64 * 1024;

  void set(std::shared_ptr<const RateSchedule> schedule);
  // Now, in the machine's time zone; looked up once a second.
  std::uint64_t rate(base::WallTime now) const;
  // Counts one fill more, unless the rate cannot feed it and it is not `must`.
  bool admit(bool must, base::WallTime now);
  void leave() { --fills_; }
  // Whether admit() would, for one that is no `must`.
  bool may_admit(base::WallTime now) const { return fills_ < most_fills(now); }

  // Whether bytes may pass now. What passes is told by spend: it may be more than there was, the
  // next bytes wait longer then.
  bool has_room(base::SteadyTime now, base::WallTime wall);
  void spend(std::uint64_t bytes);

  int waiting = 0;  // transfers that wait for their turn

 private:
  std::int64_t most_fills(base::WallTime now) const;

  mutable std::mutex mutex_;  // guards schedule_
  std::shared_ptr<const RateSchedule> schedule_;
  mutable std::atomic<std::int64_t> looked_up_{0};  // second since 1970
  mutable std::atomic<std::uint64_t> rate_{kUnlimitedRate};
  std::atomic<std::int64_t> fills_{0};
  double tokens_ = 0;  // bytes; negative: owed
  base::SteadyTime filled_{};
};

}  // namespace larder::client
