#include "cli/input_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>

#include "base/unique_fd.h"

namespace larder::cli {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using Clock = std::chrono::steady_clock;

constexpr const char* kInstead = "; give a file, or - and the content on standard input";

base::Status check_kind(const std::string& path, mode_t mode) {
  if (S_ISREG(mode) || S_ISFIFO(mode)) return {};
  return fail(ErrorCode::InvalidArgument,
              path + (S_ISDIR(mode) ? " is a folder" : " is a device, not a file") + kInstead);
}

// Does not wait for a pipe: -1 with EAGAIN while it has nothing.
ssize_t read_some(int fd, std::span<char> buffer) {
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count >= 0 || errno != EINTR) return count;
  }
}

class Reader {
 public:
  Reader(std::string name, int fd, std::uint64_t limit)
      : name_(std::move(name)), fd_(fd), limit_(limit) {}

  // All there is; a pipe until its writers are gone, or `patience` is over.
  Result<std::string> read(const std::optional<PipePatience>& patience) {
    const Clock::time_point begin = Clock::now();
    std::array<char, 65536> buffer{};
    for (;;) {
      const ssize_t count = read_some(fd_, buffer);
      if (count > 0) {
        if (content_.size() + static_cast<std::size_t>(count) > limit_) {
          return fail(ErrorCode::ResourceExhausted,
                      name_ + " is larger than the limit of " + std::to_string(limit_) + " bytes");
        }
        content_.append(buffer.data(), static_cast<std::size_t>(count));
        continue;
      }
      if (count < 0 && errno != EAGAIN) return base::fail_errno("cannot read " + name_, errno);
      // The end; of a pipe only if there was a writer.
      const bool has_writer = count < 0;
      if (!has_writer && (!patience || !content_.empty())) return std::move(content_);
      std::optional<Clock::time_point> deadline;
      if (patience) deadline = begin + (has_writer ? patience->whole : patience->beginning);
      const Waited waited = wait(deadline);
      if (waited == Waited::End) return std::move(content_);
      if (waited == Waited::TooLong) {
        return fail(ErrorCode::DeadlineExceeded,
                    name_ +
                        (has_writer ? " is a pipe whose writer does not come to an end"
                                    : " is a pipe that nobody writes to") +
                        kInstead);
      }
    }
  }

 private:
  enum class Waited {
    More,     // to be read
    End,      // the writers are gone
    TooLong,  // the deadline has come
  };
  Waited wait(const std::optional<Clock::time_point>& deadline) const {
    for (;;) {
      int timeout = -1;
      if (deadline) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
        if (left.count() <= 0) return Waited::TooLong;
        timeout = static_cast<int>(left.count());
      }
      pollfd entry{fd_, POLLIN, 0};
      if (::poll(&entry, 1, timeout) <= 0) continue;
      return (entry.revents & POLLIN) != 0 ? Waited::More : Waited::End;
    }
  }

  const std::string name_;
  const int fd_;
  const std::uint64_t limit_;
  std::string content_;
};

}  // namespace

Result<std::string> read_input(const std::string& path, std::uint64_t limit,
                               const PipePatience& patience) {
  if (path == "-") return Reader("standard input", STDIN_FILENO, limit).read(std::nullopt);
  // Opening a pipe for reading would wait for its writer.
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return base::fail_errno("cannot open " + path, errno);
  struct stat facts{};
  if (::fstat(fd.get(), &facts) != 0) return base::fail_errno("cannot read " + path, errno);
  LARDER_TRY(check_kind(path, facts.st_mode));
  if (!S_ISFIFO(facts.st_mode)) return Reader(path, fd.get(), limit).read(std::nullopt);
  return Reader(path, fd.get(), limit).read(patience);
}

}  // namespace larder::cli
