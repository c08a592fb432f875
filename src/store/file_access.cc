#include "store/file_access.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY  // for a checksum state without an allocation
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace larder::store {

base::Error IoFailure::to_error(const std::string& path) const {
  return base::fail_errno(std::string("cannot ") + what + " " + path, number).error();
}

IoResult<void> write_at(int fd, std::span<const std::uint8_t> bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return std::unexpected(IoFailure{errno, "write"});
    }
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

IoResult<std::size_t> read_at(int fd, std::span<std::uint8_t> out, std::uint64_t offset) {
  std::size_t got = 0;
  while (got < out.size()) {
    const ssize_t count =
        ::pread(fd, out.data() + got, out.size() - got, static_cast<off_t>(offset + got));
    if (count < 0) {
      if (errno == EINTR) continue;
      return std::unexpected(IoFailure{errno, "read"});
    }
    if (count == 0) break;
    got += static_cast<std::size_t>(count);
  }
  return got;
}

IoResult<base::UniqueFd> open_at(const std::string& path, int flags, unsigned mode) {
  base::UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return std::unexpected(IoFailure{errno, "open"});
  return fd;
}

IoResult<std::uint64_t> file_size(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return std::unexpected(IoFailure{errno, "look at"});
  return static_cast<std::uint64_t>(status.st_size);
}

IoResult<void> punch(int fd, std::uint64_t offset, std::uint64_t length) {
  while (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                     static_cast<off_t>(length)) != 0) {
    if (errno != EINTR) return std::unexpected(IoFailure{errno, "free a part of"});
  }
  return {};
}

IoResult<std::optional<std::uint64_t>> checksum_at(int fd, std::uint64_t offset,
                                                   std::uint64_t length) {
  std::vector<std::uint8_t> buffer(std::min<std::uint64_t>(length, 256 * 1024));
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  while (length > 0) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(length, buffer.size()));
    const auto got = read_at(fd, part, offset);
    if (!got) return std::unexpected(got.error());
    if (*got < part.size()) return std::nullopt;
    XXH3_64bits_update(&state, part.data(), part.size());
    offset += part.size();
    length -= part.size();
  }
  return XXH3_64bits_digest(&state);
}

}  // namespace larder::store
