// Room: how much of its file system a drive may take now. Pure; the caller measures and locks.
//
// A drive has the size that was configured, as long as the file system gives that. When it does
// not, because the size was a mistake or because others fill it, the drive is as large as what it
// holds and what is free, less a reserve: then it evicts like any drive that is full. A file system
// may take half a minute to show what was freed, so what others take is believed only that often;
// a write that found no space is believed at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace larder::store {

struct FileSystemSpace {
  std::uint64_t total = 0;
  std::uint64_t free = 0;  // for us
};
// Of the file system that holds the path; nothing when it cannot be found out. Blocking.
std::optional<FileSystemSpace> file_system_space(const std::string& path);

// What is left to others: a 64th of the file system, 1 MiB to 1 GiB.
std::uint64_t file_system_reserve(const FileSystemSpace& space);

class Room {
 public:
  // `leaves_half`: takes no more than half of what the file system has for it.
  Room(std::uint64_t size, bool leaves_half)
      : size_(size), leaves_half_(leaves_half), limit_(size) {}

  // The drive holds `used` bytes of the file system; `now` is steady, in microseconds.
  void measure(const FileSystemSpace& space, std::uint64_t used, std::int64_t now);
  // A write found no space, whatever the file system says is free: the limit is below `used`
  // afterwards. Once a second at most; in between it changes nothing.
  void met_full(std::uint64_t used, std::int64_t now);

  std::uint64_t limit() const { return limit_; }
  // The size that was asked for is not there. Stays so until there is clearly room again.
  bool is_short() const { return is_short_; }

 private:
  void set(std::uint64_t limit);

  const std::uint64_t size_;
  const bool leaves_half_;
  std::uint64_t limit_;
  bool is_short_ = false;
  bool was_measured_ = false;
  std::int64_t lower_after_ = 0;
  std::int64_t grow_after_ = 0;
  std::int64_t full_again_after_ = 0;
};

}  // namespace larder::store
