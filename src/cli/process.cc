#include "cli/process.h"

#include <grp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/unique_fd.h"

namespace larder::cli {

namespace {

// How often the service manager wants to hear that this process is alive; 0: never.
std::chrono::microseconds watchdog_interval() {
  const char* const text = std::getenv("WATCHDOG_USEC");
  const char* const owner = std::getenv("WATCHDOG_PID");
  if (text == nullptr) return {};
  if (owner != nullptr && std::to_string(getpid()) != owner) return {};
  const unsigned long long limit = std::strtoull(text, nullptr, 10);
  return std::chrono::microseconds(std::min<unsigned long long>(limit, 3'600'000'000ULL) / 2);
}

std::string_view name_of(int signal) {
  return signal == SIGINT ? "SIGINT" : "SIGTERM";
}

}  // namespace

Signals::Signals() {
  sigemptyset(&signals_);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals_, signal);
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
}

Signals::~Signals() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::string_view Signals::serve(const Actions& actions) {
  const std::chrono::microseconds watchdog = watchdog_interval();
  const auto act = [](const std::function<void()>& action, const char* signal) {
    if (action) {
      action();
    } else {
      base::log_info("this process has no use for the signal", {{"signal", signal}});
    }
  };
  for (;;) {
    int signal = 0;
    if (watchdog.count() == 0) {
      signal = sigwaitinfo(&signals_, nullptr);
    } else {
      const timespec limit{static_cast<time_t>(watchdog.count() / 1'000'000),
                           static_cast<long>(watchdog.count() % 1'000'000 * 1000)};
      signal = sigtimedwait(&signals_, nullptr, &limit);
    }
    if (signal == SIGTERM || signal == SIGINT) return name_of(signal);
    if (signal == SIGHUP) act(actions.reload, "SIGHUP");
    if (signal == SIGUSR1) act(actions.reopen_logs, "SIGUSR1");
    if (watchdog.count() > 0) {
      if (!actions.is_alive || actions.is_alive()) {
        notify_service_manager("WATCHDOG=1");
      } else {
        base::log_error("an event loop is stuck: the service manager is not told that all is well");
      }
    }
  }
}

void Signals::stop(const std::function<void()>& stop) {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::jthread stopping([&] {
    stop();
    const std::lock_guard lock(mutex);
    done = true;
    changed.notify_all();
  });
  for (;;) {
    {
      std::unique_lock lock(mutex);
      if (changed.wait_for(lock, std::chrono::milliseconds(20), [&] { return done; })) return;
    }
    const timespec at_once{0, 0};
    const int signal = sigtimedwait(&signals_, nullptr, &at_once);
    if (signal == SIGTERM || signal == SIGINT) {
      base::log_warning("ends at once", {{"signal", std::string(name_of(signal))}});
      std::_Exit(1);
    }
  }
}

void prepare_process() {
  umask(027);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

void admit_administrators(const std::string& socket) {
  std::array<char, 16384> buffer{};
  group entry{};
  group* found = nullptr;
  getgrnam_r("larder-admin", &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return;
  if (lchown(socket.c_str(), static_cast<uid_t>(-1), found->gr_gid) != 0)
    base::log_debug("control socket stays with its owner's group", {{"socket", socket}});
}

void notify_service_manager(std::string_view state) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  const std::size_t length = std::strlen(path);
  if (length >= sizeof(address.sun_path)) return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  const base::UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  // Nobody waits for the answer, and a manager that is gone is no reason to stop.
  sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
         reinterpret_cast<const sockaddr*>(&address),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
}

void notify_reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long microseconds = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
  notify_service_manager("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds));
}

}  // namespace larder::cli
