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
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "store/object.h"

namespace larder::store {

// Longest metadata that create takes, in bytes.
inline constexpr std::uint64_t kMetadataLimit = 60 * 1024;
inline constexpr std::uint64_t kSmallestDrive = 16 << 20;

struct DriveSettings {
  std::string path;        // created when missing
  std::uint64_t size = 0;  // bytes on disk that the folder never exceeds; at least kSmallestDrive
};

struct StoreSettings {
  std::vector<DriveSettings> drives;
  // Objects kept open (a descriptor and a mapping each) for find_open.
  std::size_t open_objects = 4096;
  // Syncs journals, frees ahead and compacts on a thread per drive. Without it, call maintain().
  bool background = true;
  const base::Clock* clock = nullptr;  // null: the machine's; must outlive the store
};

struct DriveStatistics {
  std::string path;
  std::uint64_t size = 0;
  std::uint64_t used = 0;  // bytes on disk, by accounting, journal included
  bool is_failing = false;
};

struct Statistics {
  std::uint64_t objects = 0;
  std::uint64_t slices = 0;
  std::uint64_t bytes = 0;            // of the stored slices
  std::uint64_t size = 0;             // of all drives
  std::uint64_t used = 0;             // of all drives
  std::uint64_t evicted_objects = 0;  // since the start, as all below
  std::uint64_t evicted_bytes = 0;
  std::uint64_t freed_bytes = 0;   // returned to the drives, evicted or not
  std::uint64_t write_errors = 0;  // full drives included
  std::uint64_t read_errors = 0;
  std::uint64_t lost_slices = 0;  // wrong checksum
  std::vector<DriveStatistics> drives{};
};

class Store {
 public:
  // Locks the folders and replays the journals; blocking, seconds at 10 TB. A drive that holds a
  // cache of another format version or of another store is emptied, with a log message.
  // FailedPrecondition when another process uses a drive, InvalidArgument for settings that can
  // never be right.
  static base::Result<std::unique_ptr<Store>> open(StoreSettings settings);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // For the keyed hash that makes keys (siphash.h): kept with the store, the same after a restart.
  const std::array<std::uint8_t, 16>& secret() const;

  // Opens a new generation without slices, which replaces the key's older one at once (who holds
  // that keeps it). Blocking. ResourceExhausted when no space can be freed, Unavailable when every
  // drive is failing, InvalidArgument beyond kMetadataLimit.
  base::Result<std::shared_ptr<Object>> create(const Key& key,
                                               std::span<const std::uint8_t> metadata,
                                               std::uint64_t length);

  // Stores one whole slice (slice_length(index) bytes); has_slice afterwards. Blocking. A slice
  // that is there already is left as it is: OK. FailedPrecondition when the generation was removed
  // or another thread writes the same slice now; ResourceExhausted, Unavailable or Internal when
  // the drive did not take it.
  base::Status write_slice(Object& object, std::uint32_t index,
                           std::span<const std::uint8_t> bytes);

  // Replaces the metadata of a generation (after a 304): a crash leaves the old or the new.
  // Blocking. ResourceExhausted when it does not fit where the old one was: open a new generation.
  base::Status update_metadata(Object& object, std::span<const std::uint8_t> metadata);

  // The key's newest generation, or null. find may open files and read metadata (blocking);
  // find_open never blocks and only gives objects that are open already. Both count as a hit for
  // eviction.
  std::shared_ptr<Object> find(const Key& key);
  std::shared_ptr<Object> find_open(const Key& key);
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

  // After take_mapped_fault(): the drive failed under a window of this object. The generation is
  // removed and the drive counted as failing.
  void report_fault(Object& object);

  Statistics statistics() const;

  // One pass of the background work over all drives: sync, free ahead, compact. Blocking.
  void maintain();

 private:
  struct Parts;
  explicit Store(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace larder::store
