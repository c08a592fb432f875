#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/encoding.h"
#include "base/random.h"

namespace larder::base {

Result<std::string> read_file(const std::string& path, std::uint64_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("cannot open " + path, errno);
  std::string content;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail_errno("cannot read " + path, errno);
    }
    if (got == 0) return content;
    if (content.size() + static_cast<std::size_t>(got) > limit) {
      return fail(ErrorCode::ResourceExhausted,
                  path + " is larger than the limit of " + std::to_string(limit) + " bytes");
    }
    content.append(buffer, static_cast<std::size_t>(got));
  }
}

Status write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t wrote = ::write(fd, content.data(), content.size());
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return fail_errno("cannot write", errno);
    }
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

Status write_file_atomically(const std::string& path, std::string_view content, mode_t mode) {
  std::array<std::uint8_t, 8> suffix{};
  random_bytes(suffix);
  const std::string temporary = path + ".new-" + to_hex(suffix);
  UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd) return fail_errno("cannot create " + temporary, errno);
  const auto abandon = [&](std::string_view what, int error_number) -> Status {
    ::unlink(temporary.c_str());
    return fail_errno(std::string(what) + " " + temporary, error_number);
  };
  if (const Status written = write_all(fd.get(), content); !written) {
    ::unlink(temporary.c_str());
    return with_context(temporary, written.error());
  }
  if (::fsync(fd.get()) != 0) return abandon("cannot sync", errno);
  fd.reset();
  if (::rename(temporary.c_str(), path.c_str()) != 0) return abandon("cannot rename", errno);
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const UniqueFd folder_fd(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder_fd) return fail_errno("cannot open " + folder, errno);
  if (::fsync(folder_fd.get()) != 0) return fail_errno("cannot sync " + folder, errno);
  return {};
}

Status make_directories(const std::string& path, mode_t mode) {
  std::error_code error;
  const std::filesystem::path folder(path);
  if (std::filesystem::is_directory(folder, error)) return {};
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), error);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return fail_errno("cannot create the folder " + path, errno);
  }
  if (!std::filesystem::is_directory(folder, error)) {
    return fail(ErrorCode::FailedPrecondition, path + " is not a folder");
  }
  return {};
}

Result<UniqueFd> lock_file(const std::string& path, std::string_view what) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("cannot open " + path, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return fail(ErrorCode::FailedPrecondition,
                  std::string(what) + " is in use by another process (lock " + path + ")");
    }
    return fail_errno("cannot lock " + path, errno);
  }
  return fd;
}

}  // namespace larder::base
