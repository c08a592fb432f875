#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
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
  Status done = write_all(fd.get(), content);
  if (!done) {
    done = with_context(temporary, done.error());
  } else {
    done = put_in_place(fd.get(), temporary, path);
  }
  if (!done) ::unlink(temporary.c_str());
  return done;
}

Status put_in_place(int fd, const std::string& path, const std::string& target) {
  if (::fsync(fd) != 0) return fail_errno("cannot sync " + path, errno);
  if (::rename(path.c_str(), target.c_str()) != 0) {
    return fail_errno("cannot rename " + path + " to " + target, errno);
  }
  return sync_folder_of(target);
}

Status sync_folder(const std::string& folder) {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("cannot open " + folder, errno);
  if (::fsync(fd.get()) != 0) return fail_errno("cannot sync " + folder, errno);
  return {};
}

Status sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return sync_folder(folder.empty() ? "." : folder);
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
