// Reading and writing at a place of a file, whole or not at all. Blocking.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace larder::store {

// An errno value with what was being done: kept apart from base::Error, because the drive decides
// by the number whether it is full or failing.
struct IoFailure {
  int number = 0;
  const char* what = "";
  base::Error to_error(const std::string& path) const;
};
template <typename T>
using IoResult = std::expected<T, IoFailure>;

IoResult<void> write_at(int fd, std::span<const std::uint8_t> bytes, std::uint64_t offset);
// Bytes read; fewer than asked only at the end of the file.
IoResult<std::size_t> read_at(int fd, std::span<std::uint8_t> out, std::uint64_t offset);
IoResult<base::UniqueFd> open_at(const std::string& path, int flags, unsigned mode = 0600);
IoResult<std::uint64_t> file_size(int fd);
// Gives the blocks of the range back to the file system; it reads as zeros afterwards.
IoResult<void> punch(int fd, std::uint64_t offset, std::uint64_t length);
// xxh3-64 of the range; nothing when the file ends before it.
IoResult<std::optional<std::uint64_t>> checksum_at(int fd, std::uint64_t offset,
                                                   std::uint64_t length);

}  // namespace larder::store
