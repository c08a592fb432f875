#include "server/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace larder::server {

std::string describe(const ListenerSettings& listener) {
  if (!listener.unix_path.empty()) return listener.name + " (" + listener.unix_path + ")";
  const bool v6 = listener.address.find(':') != std::string::npos;
  return listener.name + " (" + (v6 ? "[" + listener.address + "]" : listener.address) + ":" +
         std::to_string(listener.port) + ")";
}

namespace {

enum class Sharing { Alone, BetweenLoops };

base::Result<base::UniqueFd> bind_tcp(const ListenerSettings& listener, std::uint16_t port,
                                      Sharing sharing) {
  sockaddr_storage storage{};
  socklen_t length = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, listener.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    length = sizeof *v4;
  } else if (::inet_pton(AF_INET6, listener.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    length = sizeof *v6;
  } else {
    return base::fail(base::ErrorCode::InvalidArgument,
                      describe(listener) + ": not a numeric IP address");
  }
  base::UniqueFd fd(
      ::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) return base::fail_errno(describe(listener) + ": cannot make a socket", errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (sharing == Sharing::BetweenLoops) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on,
               sizeof on);  // inherited by accepted sockets
  if (storage.ss_family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (!listener.congestion_control.empty() &&
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, listener.congestion_control.c_str(),
                   static_cast<socklen_t>(listener.congestion_control.size())) != 0) {
    return base::fail_errno(
        describe(listener) + ": cannot use congestion control " + listener.congestion_control,
        errno);
  }
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) {
    return base::fail_errno(describe(listener) + ": cannot bind", errno);
  }
  if (sharing == Sharing::BetweenLoops && ::listen(fd.get(), 4096) != 0) {
    return base::fail_errno(describe(listener) + ": cannot listen", errno);
  }
  return fd;
}

base::Result<std::uint16_t> bound_port(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return base::fail_errno("cannot read the bound address", errno);
  }
  return ntohs(storage.ss_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in*>(&storage)->sin_port
                   : reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
}

base::Result<base::UniqueFd> bind_unix(const ListenerSettings& listener) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (listener.unix_path.size() >= sizeof address.sun_path) {
    return base::fail(base::ErrorCode::InvalidArgument,
                      describe(listener) + ": the path is longer than a unix socket's may be");
  }
  std::memcpy(address.sun_path, listener.unix_path.data(), listener.unix_path.size());
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return base::fail_errno(describe(listener) + ": cannot make a socket", errno);
  const base::UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(probe.get(), generic, sizeof address) == 0) {
    return base::fail(base::ErrorCode::FailedPrecondition,
                      describe(listener) + ": another process listens there already");
  }
  ::unlink(listener.unix_path.c_str());
  const mode_t before = ::umask(0117);  // 0660 from the first moment
  const int bound = ::bind(fd.get(), generic, sizeof address);
  const int error_number = errno;
  ::umask(before);
  if (bound != 0) return base::fail_errno(describe(listener) + ": cannot bind", error_number);
  if (::listen(fd.get(), 128) != 0) {
    return base::fail_errno(describe(listener) + ": cannot listen", errno);
  }
  return fd;
}

}  // namespace

bool same_place(const ListenerSettings& a, const ListenerSettings& b) {
  return a.name == b.name && a.address == b.address && a.port == b.port &&
         a.unix_path == b.unix_path;
}

base::Result<BoundListener> bind_listener(const ListenerSettings& listener, unsigned loops,
                                          bool port_is_ours) {
  BoundListener bound;
  if (!listener.unix_path.empty()) {
    base::Result<base::UniqueFd> fd = bind_unix(listener);
    if (!fd) return std::unexpected(fd.error());
    bound.fds.push_back(std::move(*fd));
    return bound;
  }
  // SO_REUSEPORT would let two processes share a port unnoticed: a plain bind first shows that it
  // is free.
  if (!port_is_ours) LARDER_TRY(bind_tcp(listener, listener.port, Sharing::Alone));
  bound.port = listener.port;
  for (unsigned i = 0; i < loops; ++i) {
    base::Result<base::UniqueFd> fd = bind_tcp(listener, bound.port, Sharing::BetweenLoops);
    if (!fd) return std::unexpected(fd.error());
    const base::Result<std::uint16_t> port = bound_port(fd->get());
    if (!port) return std::unexpected(port.error());
    bound.port = *port;
    bound.fds.push_back(std::move(*fd));
  }
  return bound;
}

Peer peer_of(int fd, const sockaddr_storage& address) {
  Peer peer;
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr, text,
                sizeof text);
  } else if (address.ss_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr, text,
                sizeof text);
  } else {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
      peer.credentials = Peer::Credentials{credentials.uid, credentials.gid, credentials.pid};
    }
  }
  peer.address = text;
  return peer;
}

}  // namespace larder::server
