// Store: the bytes of a cache on one or more drives.
//
// Each drive is a folder of a configured size with sparse files for large objects, segments of
// packed small ones and one append-only journal (docs/formats.md). It survives kill -9 at any
// moment: what was acknowledged is there after the restart, a slice whose record or bytes did not
// reach the disk (power loss) is absent, and wrong bytes are never served, because every slice has
// a checksum that is verified when its pages come from the disk. The store knows no HTTP: names
// are keyed hashes, metadata is opaque.
//
// Thread-safe. "Blocking" calls read or write the disk: keep them off the loop threads. A drive
// that is full or failing turns into errors of create and write_slice, never into a wrong answer;
// the caller passes the bytes through.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "store/object.h"
#include "store/spool.h"

namespace larder::store {

// Longest metadata that create takes, in bytes.
inline constexpr std::uint64_t kMetadataLimit = 60 * 1024;
inline constexpr std::uint64_t kSmallestDrive = 16 << 20;

struct DriveSettings {
  std::string path;        // created when missing
  std::uint64_t size = 0;  // bytes on disk that the folder never exceeds; at least kSmallestDrive
  // Takes no more than half of what its file system has for it, however large `size` is.
  bool leaves_half = false;
  // Why it is not to be opened: it is missing, and nothing is made in its folder. Empty: it is.
  std::string unusable{};
};

struct StoreSettings {
  std::vector<DriveSettings> drives;  // 1 to 32
  // Objects kept open (a descriptor and a mapping each) for find_open.
  std::size_t open_objects = 4096;
  // Syncs journals, frees ahead, compacts, works off purges and scrubs on threads of its own.
  // Without it, call maintain().
  bool background = true;
  // Bytes a second that the scrub reads to compare checksums; 0: none. A pass begins ten minutes
  // after the start, then once a day at most.
  std::uint64_t scrub_rate = 0;
  // The name of an object, inside its metadata; for purges, pins and lists. Pure. Null: no names.
  std::string_view (*name_of)(std::string_view metadata) = nullptr;
  const base::Clock* clock = nullptr;  // null: the machine's; must outlive the store
};

enum class DriveState {
  Good,
  Short,  // the file system gives less than its size: it evicts as if it were smaller
  // Broken: takes no new objects until a trial write succeeds, what is there is served; or hanging
  // (operations.h): what it holds is not found until it answers again.
  Failing,
  Missing,  // could not be opened at start, or went away: not used until the next start
};

struct DriveStatistics {
  std::string path;
  std::uint64_t size = 0;
  std::uint64_t limit = 0;    // what it may take now: its size, or what the file system gives
  std::uint64_t used = 0;     // bytes on disk, by accounting, journal included
  std::uint64_t journal = 0;  // bytes of it
  DriveState state = DriveState::Good;
  std::uint64_t write_errors = 0;
  std::uint64_t read_errors = 0;
  // What was not stored because nothing could be evicted for it: all that is there is pinned.
  std::uint64_t not_evictable = 0;
  std::uint64_t lost_slices = 0;  // wrong checksum
  std::string write_error{};      // the last one, or why it is missing; empty: none yet
  std::string read_error{};       // the last one
};

struct GroupStatistics {
  std::string name;
  std::uint64_t used = 0;   // bytes on disk
  std::uint64_t quota = 0;  // 0: none
};

struct ScrubStatistics {
  bool is_running = false;
  std::uint64_t passes = 0;         // whole ones since the start
  std::uint64_t objects = 0;        // looked at in this pass, or in the last one
  std::uint64_t bytes = 0;          // the same
  std::uint64_t lost = 0;           // slices that were wrong, in that pass
  std::uint64_t skipped = 0;        // objects that nothing can be said of: not readable now
  std::uint64_t checked_bytes = 0;  // since the start
  std::int64_t finished_at = 0;     // seconds since 1970; 0: no whole pass yet
};

// What is not to be evicted: the object of that name with its parts, whose names go on with a line
// end, or all whose name begins so.
struct PinOrder {
  std::string text;
  bool is_prefix = false;
  friend bool operator==(const PinOrder&, const PinOrder&) = default;
};

struct ListItem {
  std::string name;   // empty when it cannot be read
  std::string group;  // empty: none
  std::string drive;  // path
  std::uint64_t generation = 0;
  std::uint64_t length = 0;
  std::uint64_t stored = 0;  // bytes of the slices that are there
  bool is_pinned = false;
};

struct ListQuery {
  std::uint64_t cursor = 0;  // 0: from the start, else ListPage::next
  std::uint32_t limit = 100;
  std::string group{};   // empty: all
  std::string prefix{};  // of the name; empty: all
};

struct ListPage {
  std::vector<ListItem> items{};
  std::uint64_t next = 0;  // 0: that was all
};

struct Statistics {
  std::uint64_t objects = 0;
  std::uint64_t slices = 0;
  std::uint64_t bytes = 0;            // of the stored slices
  std::uint64_t size = 0;             // that all drives may take now
  std::uint64_t used = 0;             // of all drives
  std::uint64_t evicted_objects = 0;  // since the start, as all below
  std::uint64_t evicted_bytes = 0;
  std::uint64_t freed_bytes = 0;   // returned to the drives, evicted or not
  std::uint64_t write_errors = 0;  // full drives included
  std::uint64_t read_errors = 0;
  std::uint64_t lost_slices = 0;      // wrong checksum
  std::uint64_t pinned = 0;           // bytes on disk that are never evicted
  std::uint64_t purges = 0;           // that the background has not worked off yet
  std::uint64_t unrecorded_uses = 0;  // hits of which eviction would not know after a kill -9
  ScrubStatistics scrub{};
  std::vector<DriveStatistics> drives{};
  std::vector<GroupStatistics> groups{};
};

class Store {
 public:
  // Locks the folders and replays the journals; blocking, seconds at 10 TB. A drive that holds a
  // cache of another format version or of another store is emptied, with a log message. A drive
  // that cannot be opened is left out, with an error in the log and in the statistics; without any,
  // the store finds nothing and takes nothing. FailedPrecondition when another process or product
  // uses a drive, InvalidArgument for settings that can never be right.
  static base::Result<std::unique_ptr<Store>> open(StoreSettings settings);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // For the keyed hash that makes keys (siphash.h): kept with the store, the same after a restart.
  const std::array<std::uint8_t, 16>& secret() const;

  using Announcement = std::function<void(const std::shared_ptr<Object>&)>;
  // Opens a new generation without slices, which replaces the key's older one at once (who holds
  // that keeps it). `group` is whose quota it counts against and with whom it is purged; empty:
  // nobody's. `announce` gets the new object before anybody can find it, once nothing can fail any
  // more; nothing is written to it yet; it must not wait. What a purge that comes meanwhile is
  // about is removed already when this returns. Blocking. ResourceExhausted when no space can be
  // freed, Unavailable when every drive is failing, InvalidArgument beyond kMetadataLimit or the
  // size of the largest drive.
  base::Result<std::shared_ptr<Object>> create(const Key& key,
                                               std::span<const std::uint8_t> metadata,
                                               std::uint64_t length, std::string_view group = {},
                                               const Announcement& announce = {});

  // Stores one whole slice (slice_length(index) bytes); has_slice afterwards. Blocking. A slice
  // that is there already, or that another thread writes at the same time, is left as it is: OK.
  // FailedPrecondition when the generation was removed; ResourceExhausted, Unavailable or Internal
  // when the drive did not take it.
  base::Status write_slice(Object& object, std::uint32_t index,
                           std::span<const std::uint8_t> bytes);

  // For bytes of which nobody knows yet how many come; at most an eighth of their drive, and 4 GiB.
  // Blocking. Unavailable when every drive is failing.
  base::Result<std::unique_ptr<Spool>> spool();

  // Replaces the metadata of a generation (after a 304): a crash leaves the old or the new.
  // Blocking. ResourceExhausted when it does not fit where the old one was: open a new generation.
  base::Status update_metadata(Object& object, std::span<const std::uint8_t> metadata);

  // The key's newest generation, or null. find may open files and read metadata (blocking);
  // find_open never blocks and only gives objects that are open already. Both count as a hit for
  // eviction.
  std::shared_ptr<Object> find(const Key& key);
  std::shared_ptr<Object> find_open(const Key& key);
  // For who answers from memory without asking: counts as one more hit of the object. Cheap.
  void note_use(const Object& object);
  // In memory only, and no hit: false is certain, true may turn out unreadable.
  bool contains(const Key& key) const;

  // Forgets the key's generation, durably against kill -9. Writes a record of some bytes.
  void remove(const Key& key);
  // The same, unless another generation has taken the key meanwhile.
  void remove(const Object& object);

  // Makes a stored range ready to send: reads the slices of the range that are not in memory or not
  // yet verified and compares their checksums. Blocking. NotFound when a slice is not stored;
  // DataLoss when one is wrong: that slice is dropped (a packed object as a whole), the rest stays.
  base::Status prepare(Object& object, std::uint64_t offset, std::uint64_t length);
  // The same for one slice, even if it was verified before.
  base::Status verify(Object& object, std::uint32_t index);
  // prepare, then copies the range out. Blocking.
  base::Status read(Object& object, std::uint64_t offset, std::span<std::uint8_t> out);

  // True while the object's drive does not answer (docs/limits.md): its calls return Unavailable at
  // once.
  bool is_hanging(const Object& object) const;

  // When object.has_faulted(): the drive failed under a window of this object. The generation is
  // removed and the drive counted as failing.
  void report_fault(Object& object);

  // --- administration; all of it blocking ---

  // Bytes on disk that the objects of a group may take together; what is above goes first. Groups
  // that are not named have none. Replaces what was set before.
  void set_quotas(const std::vector<std::pair<std::string, std::uint64_t>>& quotas);

  // From the return on, nothing is found that was created before the call: in a time that does not
  // depend on how many objects there are, durably. Their space is freed in the background.
  // NotFound for a group that never had an object; ResourceExhausted while a thousand purges wait.
  base::Status purge_prefix(std::string_view prefix);
  // The same for the object of that name and its parts, whose names go on with a line end. `keys`
  // are those of them that are known. Holds as well for drives that are away or do not take a write
  // now; an error means that they may bring the object back.
  struct Purged {
    std::uint64_t objects = 0;  // that were there
    bool is_waiting = false;    // for drives that are away or failing
  };
  base::Result<Purged> purge_name(std::string_view name, std::span<const Key> keys);
  base::Status purge_group(std::string_view group);

  // What is there and what comes is not evicted any more. What is there is found in the background,
  // except for `keys`, which are pinned at once.
  base::Status pin(const PinOrder& order, const std::vector<Key>& keys = {});
  base::Status unpin(const PinOrder& order, const std::vector<Key>& keys = {});
  std::vector<PinOrder> pins() const;

  // A page of what is stored, in no order. What comes and goes meanwhile may be missing; the rest
  // is listed once. Reads names from the disk, no more than 2,000, and looks at no more than 50,000
  // objects, so a page may be short or empty and yet not the last one.
  ListPage list(const ListQuery& query);

  // Called when the space of removed objects is waited for that somebody holds: who keeps objects
  // only to find them faster drops those. On any thread, up to some hundred times a second; must
  // neither block nor call the store. Null: nobody. The call that was set before has ended when
  // this returns.
  void on_space_awaited(std::function<void()> let_go);

  // Begins a pass of the scrub now, as fast as the drives allow. False when one runs already; it
  // then goes on at full speed.
  bool start_scrub();

  Statistics statistics() const;
  // The drives alone, in no order; cheap.
  std::vector<DriveStatistics> drive_statistics() const;

  // One pass of the background work over all drives: sync, free ahead, compact, purge.
  void maintain();

 private:
  friend class Keeper;
  struct Parts;
  explicit Store(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace larder::store
