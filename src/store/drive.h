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
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "store/eviction.h"
#include "store/file_access.h"
#include "store/generation.h"
#include "store/journal.h"
#include "store/layout.h"
#include "store/open_file.h"
#include "store/operations.h"
#include "store/removed.h"
#include "store/room.h"
#include "store/segment_set.h"

namespace larder::store {

class Index;
struct DriveSettings;

struct DriveCounters {
  std::atomic<std::uint64_t> evicted_objects = 0;
  std::atomic<std::uint64_t> evicted_bytes = 0;
  std::atomic<std::uint64_t> freed_bytes = 0;
  std::atomic<std::uint64_t> write_errors = 0;
  std::atomic<std::uint64_t> read_errors = 0;
  std::atomic<std::uint64_t> not_evictable = 0;
  std::atomic<std::uint64_t> lost_slices = 0;
};

// What a generation took on its drive, when nobody reads it any more; or a spool, whose open file
// has no name.
struct Released {
  std::uint64_t id = 0;
  Location location{};
  std::uint64_t cost = 0;
  base::UniqueFd file{};
};

class Drive {
 public:
  // Makes and locks the folder and reads its identity. Blocking. FailedPrecondition when another
  // process uses it; anything else is a drive that does not work.
  static base::Result<std::unique_ptr<Drive>> lock(const DriveSettings& settings,
                                                   const base::Clock& clock);
  // The secret of the cache that the folder holds, if it holds one of our version.
  std::optional<std::array<std::uint8_t, 16>> secret() const;
  // Empties a folder of another version or secret, or for which `why_outdated` gives a reason, and
  // puts what its journal says into the index, where this drive has `number`. Tries whether the
  // drive takes a write: one that does not is failing from the start. Blocking.
  struct Loaded {
    std::uint64_t highest_generation = 0;
    std::vector<Removed> replaced{};  // by what another drive holds
  };
  base::Result<Loaded> load(const std::array<std::uint8_t, 16>& secret, Index& index,
                            std::uint32_t number, std::string_view why_outdated);
  // After all drives were loaded: sets the account. Fast.
  base::Status settle(const Index& index);
  // Frees what belonged to no generation when settle was called. The drive takes no new objects
  // before that, because such bytes are not in the account. Blocking, for seconds with a million
  // files. What is removed meanwhile is left to free_released: somebody may be reading it. After a
  // failure it may be called again.
  base::Status sweep(const std::atomic<bool>& stop);
  bool is_swept() const { return is_swept_; }

  std::uint32_t number() const { return number_; }
  // The data file of what may be no more, for reading; without a mapping. Blocking.
  base::Result<base::UniqueFd> open_to_read(std::uint64_t generation, const Location& at);

  // --- space ---
  std::uint64_t size() const { return size_; }
  // What it may take now: its size, unless the file system gives less (room.h).
  std::uint64_t limit() const { return limit_; }
  // True while the file system gives less than the size that was asked for.
  bool is_short() const { return is_short_; }
  // Looks how much the file system gives, and says when that begins or ends to be too little.
  // Blocking.
  void measure_room();
  std::uint64_t used() const;
  std::uint64_t available() const;
  bool reserve(std::uint64_t bytes);
  void give_back(std::uint64_t bytes) { charged_ -= bytes; }
  // Somebody needs so many bytes and has not got them yet.
  class Claim {
   public:
    Claim(Drive& drive, std::uint64_t bytes) : drive_(drive), bytes_(bytes) {
      drive_.claimed_ += bytes_;
    }
    ~Claim() { drive_.claimed_ -= bytes_; }
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

   private:
    Drive& drive_;
    const std::uint64_t bytes_;
  };
  // True when what is on its way will do for all claims: evicting more would free too much.
  bool is_enough_coming() const;
  // Waits until something was released, no longer than that, and frees it. Blocking.
  void wait_for_release(std::chrono::milliseconds longest);
  // Bytes to evict now so that free space stays ahead: 0 above the lower watermark, else up to the
  // upper one. Space that waits for its last reader counts as coming, unless that one is slow.
  std::uint64_t shortage() const;
  void expect_release(std::uint64_t bytes) { awaited_ += bytes; }
  bool awaits_release() const { return awaited_ > 0; }
  // Notes what slow readers hold: the least that was awaited over a second. Often, by the upkeep.
  void note_awaited();
  // True when it holds more than its size, because that was lowered.
  bool is_overfull() const { return used() > size_; }

  // Called when nobody can read a removed generation any more, after its removal was recorded:
  // never blocks.
  void release(Released what);
  // Frees what was released. Blocking.
  void free_released();
  Evictor& evictor() { return *evictor_; }

  // --- files (blocking) ---
  // InvalidArgument when the file system has no files of that length.
  base::Result<std::shared_ptr<OpenFile>> create_large(const Generation& generation);
  base::Result<std::shared_ptr<OpenFile>> open_data(const Generation& generation);
  SegmentSet& segments() { return *segments_; }
  Journal& journal() { return *journal_; }
  // Held shared over "record and index change together", alone while a compaction begins.
  std::shared_mutex& compaction_gate() { return compaction_gate_; }
  // Held while a spool's file has a name.
  std::mutex& spool_mutex() { return spool_mutex_; }
  // Held through a pass of the background work, so that there is one at a time.
  std::mutex& upkeep_mutex() { return upkeep_mutex_; }
  bool wants_compaction() const;
  void compaction_ended(bool succeeded);
  // Records that the journal did not take, though what they say happened: a compaction that begins
  // later makes up for them, and is wanted therefore.
  void record_lost() { ++lost_records_; }
  std::uint64_t lost_records() const { return lost_records_; }
  void records_made_up(std::uint64_t count) { lost_records_ -= count; }

  // --- failures ---
  // Whatever blocks on the drive on behalf of a request is one of them.
  Operations& operations() { return operations_; }
  bool is_hanging() const { return operations_.is_hanging(); }
  // Counts a failed write or read; a drive that is broken takes no new objects until a trial write
  // succeeds. Where the file system has no space (ResourceExhausted), the drive becomes smaller
  // instead, so that it evicts. Unavailable is a shortage of the process (descriptors, memory), and
  // InvalidArgument an object that can never be stored: they say nothing of the drive.
  base::Error write_failed(base::Error error);
  base::Error read_failed(base::Error error);
  bool is_failing() const { return is_failing_; }
  // True from when the folder was found to be another one than at the start, or none. The drive is
  // failing too from then on, until the next start.
  bool is_gone() const { return is_gone_; }
  // Looks for that at once. Before anything is made by name in the folder outside of a request, so
  // that it is not made in a mount point. Blocking.
  bool is_there();
  // Looks for that every half minute, and as soon as a name was missing. Blocking.
  void look();
  // Every half minute tries whether a drive that is failing takes a write again. Blocking.
  void try_again();
  struct LastErrors {
    std::string write;  // empty: none yet
    std::string read;
  };
  LastErrors last_errors() const;
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
  Drive(const DriveSettings& settings, const base::Clock& clock);
  void apply_room();
  base::Status discard(const std::string& reason);
  base::Status sweep_large(const std::atomic<bool>& stop);

  const std::string path_;
  const std::uint64_t size_;
  const base::Clock& clock_;
  base::UniqueFd lock_;
  std::optional<Identity> identity_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<SegmentSet> segments_;
  std::unique_ptr<Evictor> evictor_;
  std::uint32_t number_ = 0;  // in the index
  std::atomic<bool> is_swept_ = false;
  std::mutex sweep_mutex_;  // held through a sweep
  // Between settle and the end of a sweep that succeeded: what is not to be freed. Guarded by
  // sweep_mutex_ after settle.
  std::vector<std::uint64_t> kept_files_;
  std::vector<SegmentSet::Piece> kept_pieces_;
  std::mutex upkeep_mutex_;
  std::shared_mutex compaction_gate_;
  std::atomic<std::uint64_t> compact_above_ = 0;
  std::atomic<std::uint64_t> lost_records_ = 0;
  std::atomic<std::int64_t> make_up_at_ = 0;  // steady microseconds

  std::mutex room_mutex_;
  Room room_;                         // guarded by room_mutex_
  std::atomic<std::uint64_t> limit_;  // what room_ says
  std::atomic<bool> is_short_ = false;

  std::atomic<std::uint64_t> charged_ = 0;
  std::atomic<std::uint64_t> awaited_ = 0;
  std::atomic<std::uint64_t> claimed_ = 0;
  std::atomic<std::uint64_t> held_long_ = 0;  // of awaited_
  std::uint64_t least_awaited_ = 0;           // since least_since_; of the upkeep
  std::int64_t least_since_ = 0;              // steady microseconds; the same
  std::atomic<bool> is_failing_ = false;
  std::atomic<std::int64_t> try_again_at_ = 0;  // steady microseconds
  std::atomic<bool> is_gone_ = false;
  std::atomic<std::int64_t> look_again_at_ = 0;  // steady microseconds
  mutable std::mutex errors_mutex_;
  LastErrors errors_;  // guarded by errors_mutex_
  DriveCounters counters_;

  Operations operations_;
  std::mutex spool_mutex_;
  std::mutex freeing_mutex_;  // one thread frees, others wait until the space is there
  std::mutex released_mutex_;
  std::condition_variable released_some_;
  std::vector<Released> released_;  // guarded by released_mutex_

  std::mutex work_mutex_;
  std::condition_variable work_;
  bool has_work_ = false;  // guarded by work_mutex_
  std::atomic<std::uint64_t> unsynced_ = 0;
  std::atomic<std::int64_t> synced_at_ = 0;  // steady microseconds
};

}  // namespace larder::store
