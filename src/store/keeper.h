// Keeper: the slow background work of a store, on one thread of low priority: what the start left
// to be freed, purges, pins by prefix, and the scrub. Inside the store only.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "store/entry_table.h"
#include "store/orders.h"
#include "store/store.h"

namespace larder::store {

class Drive;

class Keeper {
 public:
  explicit Keeper(Store::Parts& parts) : parts_(parts) {}

  // The thread's work, until stopped.
  void run(const std::stop_token& stop);
  void stop();

  // One pass of everything but the scrub, at once.
  void work_off();
  // There are new purges or pins: their walk over all objects begins soon.
  void want_walk();
  // False when a pass runs already; it goes on at full speed, at once.
  bool start_scrub();
  ScrubStatistics scrub_statistics() const;

 private:
  void sweep_drives();
  void walk();
  // Takes out the marks of what was worked off, once no drive can bring it back.
  void drop_marks();
  // False when it could not be found out now whether the orders apply. `purged_below`: no purge by
  // prefix is about later generations.
  bool judge(const Entry& entry, bool needs_name, std::uint64_t purged_below);
  bool is_walk_due() const;
  void scrub();
  // Whether an object could be used by what precedes its bytes; then its file. Waits as the rate
  // wants.
  base::Result<base::UniqueFd> check_head(Drive& drive, const Entry& entry);
  // What cannot be used, unless it was removed meanwhile: skipped when it may be readable later,
  // else counted as lost and forgotten.
  void lose(Drive& drive, const Entry& entry, std::uint64_t slices, const base::Error& reason);
  void note_skipped();
  void drop_pages(const base::UniqueFd& fd, const Entry& entry, std::uint64_t offset,
                  std::uint64_t length);
  // Waits as the rate wants after so many bytes; false when stopped.
  bool pace(std::uint64_t bytes);
  // The same afterwards.
  bool check_slice(const base::UniqueFd& fd, const Entry& entry, std::uint32_t index,
                   std::uint64_t expected);
  // Waits; false when stopped.
  bool pause(std::int64_t microseconds);
  bool is_scrub_due() const;

  Store::Parts& parts_;
  std::atomic<bool> stopped_ = false;
  std::mutex walk_mutex_;                     // one walk at a time
  std::vector<OrderBook::Purge> worked_off_;  // guarded by walk_mutex_
  std::int64_t drop_again_at_ = 0;            // steady microseconds; the same
  std::atomic<bool> wants_walk_ = false;
  // Steady microseconds: what the last walk could not judge is looked at again. 0: nothing.
  std::atomic<std::int64_t> walk_again_at_ = 0;
  std::atomic<bool> wants_scrub_ = false;  // now and at full speed
  std::atomic<bool> at_full_speed_ = false;
  std::int64_t next_scrub_ = 0;  // steady microseconds; of the thread

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable work_;
  bool has_work_ = false;
  ScrubStatistics scrub_;
};

}  // namespace larder::store
