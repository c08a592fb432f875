#include "signers/command_signer.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>

#include "base/log.h"
#include "base/unique_fd.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
using std::chrono::milliseconds;

namespace {

constexpr int kCannotBeStarted = 127;
constexpr int kNotYet = 75;   // EX_TEMPFAIL
constexpr int kRefused = 77;  // EX_NOPERM
constexpr milliseconds kTick{200};
constexpr std::size_t kGroupsLimit = 64;

struct Identity {
  uid_t user = 0;
  gid_t group = 0;
  std::array<gid_t, kGroupsLimit> groups{};
  std::size_t group_count = 0;
};

// Whom the program is to run as; empty: as this process does.
Result<std::optional<Identity>> identity_of(const std::string& user) {
  if (user.empty()) return std::nullopt;
  std::array<char, 16384> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return fail(ErrorCode::FailedPrecondition, "there is no user named " + user);
  }
  if (::geteuid() != 0) {
    if (found->pw_uid == ::geteuid()) return std::nullopt;
    // As the node's user it could read what was meant to be kept from it.
    return fail(ErrorCode::FailedPrecondition,
                "the program cannot run as " + user +
                    ", because the node is not root: run as root, or leave `user` out");
  }
  Identity identity{.user = found->pw_uid, .group = found->pw_gid};
  int count = kGroupsLimit;
  if (::getgrouplist(user.c_str(), found->pw_gid, identity.groups.data(), &count) < 0) {
    return fail(ErrorCode::FailedPrecondition, user + " is in more than 64 groups");
  }
  identity.group_count = static_cast<std::size_t>(count);
  return identity;
}

struct Pipe {
  base::UniqueFd read;
  base::UniqueFd write;
};
Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return base::fail_errno("cannot make a pipe", errno);
  return Pipe{base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

// Everything between fork and exec: only what a child of a process with threads may call. The
// system calls are made directly, because the C library's own would tell threads that are not
// there.
[[noreturn]] void become(const std::optional<Identity>& identity, char* const* arguments,
                         char* const* environment, int in, int out, int errors) {
  ::setsid();
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 32; ++signal) ::sigaction(signal, &standard, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const bool redirected = ::dup2(in, 0) == 0 && ::dup2(out, 1) == 1 && ::dup2(errors, 2) == 2;
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::umask(077);
  // Whatever else is open here is nothing to them.
  const bool closed = ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
  bool changed = true;
  if (identity) {
    changed = ::syscall(SYS_setgroups, identity->group_count, identity->groups.data()) == 0 &&
              ::syscall(SYS_setresgid, identity->group, identity->group, identity->group) == 0 &&
              ::syscall(SYS_setresuid, identity->user, identity->user, identity->user) == 0;
  }
  // The right to bind low ports is the node's.
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (redirected && closed && changed && ::chdir("/") == 0) {
    ::execve(arguments[0], arguments, environment);
  }
  // Neither translates nor allocates, as strerror may.
  const char* const description = ::strerrordesc_np(errno);
  const char* const reason = description != nullptr ? description : "unknown error";
  (void)!::write(2, reason, std::strlen(reason));
  ::_exit(kCannotBeStarted);
}

// A running program. It and all that it started are killed with the object.
class Child {
 public:
  Child(pid_t pid, base::UniqueFd handle) : pid_(pid), handle_(std::move(handle)) {}
  ~Child() {
    if (!reaped_) reap();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int handle() const { return handle_.get(); }
  // The status of waitpid. The group is killed while its number is surely still its own.
  int reap() {
    int status = 0;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);  // when it has not come to making its group
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    return status;
  }

 private:
  const pid_t pid_;
  base::UniqueFd handle_;
  bool reaped_ = false;
};

struct Output {
  std::string text;
  std::size_t limit;
  bool overflowed = false;

  // False at the end of what comes.
  bool take(int fd) {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    if (got == 0) return false;
    const std::size_t room = limit - text.size();
    overflowed = overflowed || static_cast<std::size_t>(got) > room;
    text.append(buffer.data(), std::min(room, static_cast<std::size_t>(got)));
    return true;
  }
};

struct Ended {
  int status = 0;  // of waitpid
  Output output{.text = {}, .limit = kCommandOutputLimit};
  Output errors{.text = {}, .limit = kCommandErrorsLimit};
};

// Feeds the program and listens to it until it has ended.
Result<Ended> attend(Child& child, Pipe& in, Pipe& out, Pipe& errors, std::string_view input,
                     milliseconds timeout, const std::function<bool()>& ending) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  Ended ended;
  for (const int fd : {in.write.get(), out.read.get(), errors.read.get()}) {
    ::fcntl(fd, F_SETFL, O_NONBLOCK);
  }
  for (;;) {
    if (ending()) return fail(ErrorCode::Unavailable, "the node is stopping");
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail(ErrorCode::DeadlineExceeded, "the program did not end within " +
                                                   std::to_string(timeout.count() / 1000) +
                                                   " s and was killed");
    }
    if (ended.output.overflowed) {
      return fail(ErrorCode::ResourceExhausted, "the program printed more than 64 KiB");
    }
    std::array<pollfd, 4> waits{{{child.handle(), POLLIN, 0},
                                 {out.read.get(), POLLIN, 0},
                                 {errors.read.get(), POLLIN, 0},
                                 {in.write.get(), POLLOUT, 0}}};
    if (::poll(waits.data(), waits.size(), static_cast<int>(kTick.count())) < 0 && errno != EINTR) {
      return base::fail_errno("cannot wait for the program", errno);
    }
    if (waits[1].revents != 0 && !ended.output.take(out.read.get())) out.read.reset();
    if (waits[2].revents != 0 && !ended.errors.take(errors.read.get())) errors.read.reset();
    if (waits[3].revents != 0) {
      const ssize_t sent = ::write(in.write.get(), input.data(), input.size());
      if (sent > 0) input.remove_prefix(static_cast<std::size_t>(sent));
      // A program that does not read all of it may still know what to do.
      if (input.empty() || (sent < 0 && errno != EAGAIN && errno != EINTR)) in.write.reset();
    }
    // What it wrote before it ended is read first.
    if ((waits[0].revents & POLLIN) != 0 && waits[1].revents == 0 && waits[2].revents == 0) {
      ended.status = child.reap();
      return ended;
    }
  }
}

Result<std::string> judge(Ended ended) {
  const std::string said = printable_errors(ended.errors.text);
  const std::string because = said.empty() ? "" : ": " + said;
  if (WIFSIGNALED(ended.status)) {
    return fail(ErrorCode::Unavailable,
                "the program was ended by signal " + std::to_string(WTERMSIG(ended.status)));
  }
  switch (const int code = WEXITSTATUS(ended.status); code) {
    case 0:
      if (ended.output.text.empty()) {
        return fail(ErrorCode::InvalidArgument, "the program printed no certificate" + because);
      }
      return std::move(ended.output.text);
    case kNotYet:
      return fail(ErrorCode::Unavailable, "not signed yet (exit code 75)" + because);
    case kRefused:
      return fail(ErrorCode::PermissionDenied, "refused (exit code 77)" + because);
    case kCannotBeStarted:
      return fail(ErrorCode::FailedPrecondition,
                  "the program cannot be run (exit code 127)" + because);
    default:
      return fail(ErrorCode::Unavailable,
                  "the program ended with exit code " + std::to_string(code) + because);
  }
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  list.reserve(texts.size() + 1);
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

std::string printable_errors(std::string_view text) {
  if (text.find("PRIVATE KEY") != std::string_view::npos) {
    return "(what the program wrote holds a private key and is not shown)";
  }
  std::string line;
  for (const char c : text.substr(0, kCommandErrorsLimit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      if (!line.empty() && !line.ends_with("; ")) line += "; ";
    } else {
      line += byte >= 0x20 && byte < 0x7F ? c : '?';
    }
  }
  while (line.ends_with(' ') || line.ends_with(';')) line.pop_back();
  return line;
}

Result<std::string> CommandSigner::sign(std::string_view request_pem) {
  const auto identity = identity_of(settings_.user);
  if (!identity) return std::unexpected(identity.error());
  std::vector<std::string> words = settings_.command;
  std::vector<std::string> variables = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
      "LARDER_SIGNER_TIMEOUT=" + std::to_string(settings_.timeout.count() / 1000)};
  const std::vector<char*> arguments = pointers(words);
  const std::vector<char*> environment = pointers(variables);
  auto in = make_pipe();
  auto out = make_pipe();
  auto errors = make_pipe();
  for (const auto* pipe : {&in, &out, &errors}) {
    if (!*pipe) return std::unexpected(pipe->error());
  }
  const pid_t pid = ::fork();
  if (pid < 0) return base::fail_errno("cannot start a process", errno);
  if (pid == 0) {
    become(*identity, arguments.data(), environment.data(), in->read.get(), out->write.get(),
           errors->write.get());
  }
  Child child(pid, base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))));
  if (child.handle() < 0) return base::fail_errno("cannot watch the program", errno);
  in->read.reset();
  out->write.reset();
  errors->write.reset();
  auto ended = attend(child, *in, *out, *errors, request_pem, settings_.timeout, ending_);
  if (!ended) return std::unexpected(ended.error());
  if (!ended->errors.text.empty()) {
    base::log_info("the signing program said", {{"program", settings_.command.front()},
                                                {"text", printable_errors(ended->errors.text)}});
  }
  return judge(std::move(*ended));
}

}  // namespace larder::signers
