// Drive: one folder of the store with its files, its journal and the account of its space.
//
// The account is what keeps the folder below its size: every byte is reserved before it is written
// and given back after it was freed. `used` counts data by whole blocks, a share for the file
// system's own blocks, segments, the journal, and room to rewrite the journal.
//
// Thread-safe. What says "blocking" touches the disk.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "store/file_access.h"
#include "store/generation.h"
#include "store/journal.h"
#include "store/layout.h"
#include "store/open_file.h"
#include "store/replay.h"
#include "store/segment_set.h"

namespace larder::store {

struct DriveSettings;

struct DriveCounters {
  std::atomic<std::uint64_t> evicted_objects = 0;
  std::atomic<std::uint64_t> evicted_bytes = 0;
  std::atomic<std::uint64_t> freed_bytes = 0;
  std::atomic<std::uint64_t> write_errors = 0;
  std::atomic<std::uint64_t> read_errors = 0;
  std::atomic<std::uint64_t> lost_slices = 0;
};

class Drive {
 public:
  // Makes and locks the folder and reads its identity. Blocking.
  static base::Result<std::unique_ptr<Drive>> lock(const DriveSettings& settings,
                                                   const base::Clock& clock);
  // The secret of the cache that the folder holds, if it holds one of our version.
  std::optional<std::array<std::uint8_t, 16>> secret() const;
  // Empties a folder of another version or secret, and replays the journal. Blocking.
  base::Status load(const std::array<std::uint8_t, 16>& secret, ReplayTable& table);
  // After load: unlinks and punches what none of `live` owns and sets the account. Blocking.
  base::Status settle(std::span<const std::shared_ptr<Generation>> live);

  // --- space ---
  std::uint64_t size() const { return size_; }
  std::uint64_t used() const;
  std::uint64_t available() const;
  bool reserve(std::uint64_t bytes);
  void give_back(std::uint64_t bytes) { charged_ -= bytes; }
  // Bytes to evict now so that free space stays ahead: 0 above the lower watermark, else up to the
  // upper one. Space that waits for its last reader counts as coming.
  std::uint64_t shortage() const;
  void expect_release(std::uint64_t bytes) { awaited_ += bytes; }

  // Called by the last holder of a removed generation: never blocks.
  void release(const Generation& generation);
  // Frees what was released. Blocking.
  void free_released();

  // --- eviction order ---
  void add_candidate(const std::shared_ptr<Generation>& generation);
  // The oldest generation without a hit since it was last looked at, except `keep`; null when there
  // is none. The caller removes it from the index.
  std::shared_ptr<Generation> next_victim(const Generation* keep);

  // --- files (blocking) ---
  base::Result<std::shared_ptr<OpenFile>> create_large(const Generation& generation);
  base::Result<std::shared_ptr<OpenFile>> open_data(const Generation& generation);
  SegmentSet& segments() { return *segments_; }
  Journal& journal() { return *journal_; }
  bool has_journal() const { return journal_ != nullptr; }  // after a load that succeeded
  // Held shared over "record and index change together", alone while a compaction begins.
  std::shared_mutex& compaction_gate() { return compaction_gate_; }
  // Held through a pass of the background work, so that there is one at a time.
  std::mutex& upkeep_mutex() { return upkeep_mutex_; }
  bool wants_compaction() const;
  void compaction_ended(bool succeeded);

  // --- failures ---
  // Counts a failed write or read; a drive that is broken or full takes no new objects for a while.
  base::Error write_failed(base::Error error);
  base::Error read_failed(base::Error error);
  bool is_failing() const;
  std::int64_t steady_now() const;  // microseconds
  DriveCounters& counters() { return counters_; }
  const DriveCounters& counters() const { return counters_; }
  const std::string& path() const { return path_; }

  // --- background thread ---
  void wrote(std::uint64_t bytes);  // asks for a sync after some
  void wake();
  // Returns when woken or after a second.
  void wait_for_work();
  // Syncs the journal if a second passed since the last time, enough was written, or `now_anyway`.
  base::Status sync(bool now_anyway);

 private:
  Drive(std::string path, std::uint64_t size, const base::Clock& clock);
  base::Status discard(const std::string& reason);
  base::Status sweep_large(std::span<const std::shared_ptr<Generation>> live);

  const std::string path_;
  const std::uint64_t size_;
  const base::Clock& clock_;
  base::UniqueFd lock_;
  std::optional<Identity> identity_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<SegmentSet> segments_;
  std::mutex upkeep_mutex_;
  std::shared_mutex compaction_gate_;
  std::atomic<std::uint64_t> compact_above_ = 0;

  std::atomic<std::uint64_t> charged_ = 0;
  std::atomic<std::uint64_t> awaited_ = 0;
  std::atomic<std::int64_t> refuse_until_ = 0;  // steady microseconds
  DriveCounters counters_;

  struct Released {
    std::uint64_t id;
    std::uint64_t length;
    Location location;
    std::uint64_t cost;
  };
  std::mutex freeing_mutex_;  // one thread frees, others wait until the space is there
  std::mutex released_mutex_;
  std::vector<Released> released_;  // guarded by released_mutex_

  std::mutex candidates_mutex_;
  std::deque<std::weak_ptr<Generation>> candidates_;  // guarded by candidates_mutex_
  std::size_t prune_above_ = 1024;                    // guarded by candidates_mutex_

  std::mutex work_mutex_;
  std::condition_variable work_;
  bool has_work_ = false;  // guarded by work_mutex_
  std::atomic<std::uint64_t> unsynced_ = 0;
  std::atomic<std::int64_t> synced_at_ = 0;  // steady microseconds
};

}  // namespace larder::store
