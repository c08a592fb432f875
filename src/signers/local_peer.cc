#include "signers/local_peer.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kTick{200};

// Until one of the events, or the descriptor's end, is there.
Status wait_for(int connection, short events, const WaitLimit& wait) {
  for (;;) {
    if (wait.ending()) return fail(ErrorCode::Unavailable, "the attempt was ended");
    const auto left =
        std::chrono::ceil<milliseconds>(wait.deadline - std::chrono::steady_clock::now());
    if (left <= milliseconds(0)) {
      return fail(ErrorCode::DeadlineExceeded, "the other end did not answer in time");
    }
    pollfd entry{connection, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min(left, kTick).count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return base::fail_errno("cannot wait", errno);
  }
}

}  // namespace

Result<base::UniqueFd> connect_to_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::InvalidArgument, path + " is too long for the path of a socket");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  base::UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection) return base::fail_errno("cannot make a socket", errno);
  // On unix sockets this is done or refused at once.
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    return base::fail_errno("cannot connect to " + path, errno);
  }
  return connection;
}

Result<uid_t> user_of_peer(int connection) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  int family = 0;
  socklen_t family_length = sizeof family;
  if (::getsockopt(connection, SOL_SOCKET, SO_DOMAIN, &family, &family_length) != 0 ||
      family != AF_UNIX ||
      ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return fail(ErrorCode::FailedPrecondition, "not a connection over a unix socket");
  }
  return credentials.uid;
}

Result<uid_t> user_named(const std::string& name) {
  std::array<char, 16384> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return fail(ErrorCode::NotFound, "there is no user named " + name);
  return found->pw_uid;
}

Status send_text(int connection, std::string_view text, const WaitLimit& wait) {
  while (!text.empty()) {
    LARDER_TRY(wait_for(connection, POLLOUT, wait));
    const ssize_t sent = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      return base::fail_errno("cannot send", errno);
    }
  }
  if (::shutdown(connection, SHUT_WR) != 0) return base::fail_errno("cannot send", errno);
  return {};
}

Result<std::string> receive_text(int connection, std::size_t limit, const WaitLimit& wait) {
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    LARDER_TRY(wait_for(connection, POLLIN, wait));
    const ssize_t got = ::recv(connection, buffer.data(), buffer.size(), MSG_DONTWAIT);
    // It may end without having heard all that was said to it.
    if (got == 0 || (got < 0 && errno == ECONNRESET)) return text;
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return base::fail_errno("cannot receive", errno);
    }
    if (static_cast<std::size_t>(got) > limit - text.size()) {
      return fail(ErrorCode::ResourceExhausted,
                  "the other end sent more than " + std::to_string(limit >> 10) + " KiB");
    }
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

bool has_hung_up(int connection) {
  pollfd entry{connection, 0, 0};
  return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

}  // namespace larder::signers
