#include "cli/process.h"

#include <grp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "base/unique_fd.h"

namespace larder::cli {

StopSignals::StopSignals() {
  sigemptyset(&stops_);
  sigaddset(&stops_, SIGTERM);
  sigaddset(&stops_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stops_, &before_);
}

StopSignals::~StopSignals() {
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::string_view StopSignals::wait() {
  int signal = 0;
  sigwait(&stops_, &signal);
  return signal == SIGINT ? "SIGINT" : "SIGTERM";
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

}  // namespace larder::cli
