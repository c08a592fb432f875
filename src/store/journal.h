// Journal: the append-only file of one drive that says what is stored (docs/formats.md).
//
// Appends go straight to the page cache, so they survive kill -9; sync() makes them survive power
// loss. Thread-safe; everything here may block on the drive, and the lock is held while writing,
// so keep it off loop threads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "store/journal_format.h"

namespace larder::store {

class Journal {
 public:
  // Opens or creates <folder>/journal, gives its records to `sink` up to a torn tail, and cuts that
  // tail off. A file of another drive, or whose header is not whole, is replaced by an empty one.
  static base::Result<std::unique_ptr<Journal>> open(
      const std::string& folder, const std::array<std::uint8_t, 16>& drive,
      const std::function<void(const Record&)>& sink);

  base::Status append(const Record& record);
  // That these generations were used. No reason for sync() to write: what a power loss takes only
  // makes eviction choose worse, and hits must not keep a drive from sleeping.
  base::Status append_uses(std::span<const std::uint64_t> generations);
  base::Status sync();
  // Bytes of the file; with the room that a compaction needs beside it.
  std::uint64_t size() const { return size_; }
  std::uint64_t cost() const { return 2 * size_ + 2 * 4096; }

  // Compaction: begin, then add what is live now, then finish. Whatever is appended after begin is
  // carried over behind it. Between the calls the old file stays the journal; a failure at any
  // point, or abandon, leaves it so.
  base::Status begin_compaction();
  base::Status add_live(std::span<const Record> records);
  base::Status finish_compaction();
  void abandon_compaction();

 private:
  Journal(std::string folder, const std::array<std::uint8_t, 16>& drive);
  base::Status start_file(const std::string& name, base::UniqueFd& fd, std::uint64_t& epoch) const;
  base::Status replay(const std::function<void(const Record&)>& sink);
  // Moves `offset` on only when all is written.
  base::Status write_records(const char* name, int fd, std::span<const Record> records,
                             std::uint64_t epoch, std::uint64_t& offset) const;

  const std::string folder_;
  const std::array<std::uint8_t, 16> drive_;
  std::mutex sync_mutex_;  // one sync at a time: who finds nothing to do may rely on the last one
  std::mutex mutex_;       // guards all below; size_ is also read without it
  base::UniqueFd fd_;
  std::uint64_t epoch_ = 0;
  std::atomic<std::uint64_t> size_ = 0;
  bool is_dirty_ = false;

  bool is_compacting_ = false;
  base::UniqueFd next_fd_;
  std::uint64_t next_epoch_ = 0;
  std::uint64_t next_size_ = 0;
  std::vector<Record> carried_;  // appended since begin_compaction
};

}  // namespace larder::store
