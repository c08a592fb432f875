// SegmentSet: the segment files of one drive, in which small objects are packed.
//
// Space in a segment is handed out once, upwards, and never again: what is freed is punched out,
// and a segment without live objects is unlinked. Thread-safe; blocking, the lock is held while a
// segment is made or opened, so keep it off loop threads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/file_access.h"
#include "store/journal_format.h"
#include "store/open_file.h"

namespace larder::store {

class SegmentSet {
 public:
  SegmentSet(std::string folder, const std::array<std::uint8_t, 16>& drive,
             std::uint64_t segment_size);

  // What is live at start: by segment, how many objects, and where the last one ends.
  struct Content {
    std::uint32_t live = 0;
    std::uint64_t end = 0;
  };
  using Contents = std::unordered_map<std::uint32_t, Content>;
  base::Status load(const Contents& contents);
  // Unlinks segments without live objects and punches out what is in none of `live`, the places of
  // all packed generations, which it sorts. A segment that cannot be opened is left as it is.
  // Before the first allocate; after a failure it may be called again. Adds to `charged` the bytes
  // that the file system could not free.
  struct Piece {
    std::uint32_t segment = 0;
    std::uint32_t block = 0;
    std::uint32_t blocks = 0;
  };
  base::Status sweep(std::span<Piece> live, const std::atomic<bool>& stop,
                     std::atomic<std::uint64_t>& charged);

  struct Place {
    std::uint32_t segment = 0;
    std::uint32_t block = 0;
    std::shared_ptr<OpenFile> file;
    std::uint64_t charged = 0;  // bytes that the drive is charged for segments made and dropped
    std::uint64_t credited = 0;
  };
  // `bytes` is a multiple of the block size and at most half a segment.
  base::Result<Place> allocate(std::uint64_t bytes);
  base::Result<std::shared_ptr<OpenFile>> open(std::uint32_t segment);
  // Returns the bytes that the drive gets back: 0 when the file system could not free them yet.
  std::uint64_t free(std::uint32_t segment, std::uint32_t block, std::uint64_t bytes);

  std::uint64_t segment_size() const { return segment_size_; }
  // Cost of the segment files themselves.
  std::uint64_t cost() const;

 private:
  struct Segment {
    std::uint64_t live = 0;
    std::uint64_t held_back = 0;  // freed, but punching failed
    std::weak_ptr<OpenFile> file;
  };
  std::string path_of(std::uint32_t segment) const;
  base::Result<std::shared_ptr<OpenFile>> open_locked(std::uint32_t segment);
  base::Status start_segment(Place& place);
  std::uint64_t drop(std::uint32_t segment);

  const std::string folder_;
  const std::array<std::uint8_t, 16> drive_;
  const std::uint64_t segment_size_;
  mutable std::mutex mutex_;  // guards all below
  std::unordered_map<std::uint32_t, Segment> segments_;
  std::uint32_t active_ = 0;  // 0: none yet
  std::uint32_t highest_ = 0;
  std::uint64_t next_offset_ = 0;  // in the active segment
  std::shared_ptr<OpenFile> active_file_;
};

}  // namespace larder::store
