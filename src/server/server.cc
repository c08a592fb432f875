#include "server/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "base/log.h"

namespace larder::server {

namespace {

// Connections taken from one listener before other work of the loop gets its turn.
constexpr int kAcceptTurn = 64;

struct Listening {
  ListenerSettings settings;
  std::uint16_t port = 0;
  std::vector<base::UniqueFd> fds;  // one a loop (TCP), or one in all (unix)
};

std::string describe(const ListenerSettings& listener) {
  if (!listener.unix_path.empty()) return listener.name + " (" + listener.unix_path + ")";
  const bool v6 = listener.address.find(':') != std::string::npos;
  return listener.name + " (" + (v6 ? "[" + listener.address + "]" : listener.address) + ":" +
         std::to_string(listener.port) + ")";
}

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

}  // namespace

// One loop thread with its connections.
struct Worker {
  net::Loop loop;
  std::vector<std::unique_ptr<net::Socket>> accepting;
  std::vector<std::unique_ptr<Handler>> handlers;  // by listener
  std::unordered_set<Connection*> connections;
  std::thread thread;
};

struct Server::Impl {
  ServerSettings settings;
  std::vector<Listening> listeners;
  std::vector<std::unique_ptr<Worker>> workers;
  std::atomic<std::size_t> connections = 0;
  std::mutex tasks_mutex;
  std::condition_variable task_ended;
  std::size_t tasks = 0;  // accept loops and connections that have not ended
  std::atomic<bool> stopping = false;
  bool stopped = false;

  void begin_task() {
    const std::lock_guard lock(tasks_mutex);
    ++tasks;
  }
  void end_task() {
    const std::lock_guard lock(tasks_mutex);
    --tasks;
    task_ended.notify_all();
  }
  bool wait_for_tasks(std::chrono::milliseconds limit) {
    std::unique_lock lock(tasks_mutex);
    return task_ended.wait_for(lock, limit, [this] { return tasks == 0; });
  }

  net::Task<void> accept(Worker& worker, std::size_t index);
  net::Task<void> serve(Worker& worker, std::size_t index, base::UniqueFd fd, Peer peer);
};

net::Task<void> Server::Impl::accept(Worker& worker, std::size_t index) {
  net::Socket& socket = *worker.accepting[index];
  while (co_await socket.readable(base::SteadyTime::max())) {
    for (int turn = 0; turn < kAcceptTurn && !stopping; ++turn) {
      sockaddr_storage address{};
      socklen_t length = sizeof address;
      base::UniqueFd fd(::accept4(socket.fd(), reinterpret_cast<sockaddr*>(&address), &length,
                                  SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
          base::log_error("cannot accept a connection", {{"reason", std::strerror(errno)}});
          co_await net::sleep_for(std::chrono::milliseconds(100));
        }
        if (errno == ECONNABORTED || errno == EINTR) continue;
        break;
      }
      if (connections >= settings.connection_limit) continue;  // closed at once
      Peer peer = peer_of(fd.get(), address);
      ++connections;
      begin_task();
      worker.loop.spawn(serve(worker, index, std::move(fd), std::move(peer)));
    }
  }
  worker.accepting[index].reset();
  end_task();
}

net::Task<void> Server::Impl::serve(Worker& worker, std::size_t index, base::UniqueFd fd,
                                    Peer peer) {
  const ListenerSettings& listener = listeners[index].settings;
  const base::SteadyTime deadline = std::chrono::steady_clock::now() + settings.timeouts.handshake;
  std::unique_ptr<net::Stream> stream;
  if (listener.tls) {
    peer.tls = true;
    std::shared_ptr<const net::TlsContext> context = listener.tls();
    if (context == nullptr) {
      co_await net::refuse_tls(worker.loop, std::move(fd), deadline);
      if (listener.on_handshake_failure) {
        listener.on_handshake_failure(peer.address, "no certificate is active");
      }
    } else {
      auto secured = net::make_tls_stream(worker.loop, std::move(fd), std::move(context));
      const std::string failure = co_await secured->handshake(deadline);
      if (failure.empty()) {
        peer.client_certificate = secured->peer_certificate();
        stream = std::move(secured);
      } else if (listener.on_handshake_failure) {
        listener.on_handshake_failure(peer.address, failure);
      }
    }
  } else {
    stream = net::make_plain_stream(worker.loop, std::move(fd));
  }
  if (stream != nullptr && !stopping) {
    Connection connection(std::move(stream), std::move(peer), *worker.handlers[index],
                          settings.timeouts);
    worker.connections.insert(&connection);
    co_await connection.serve();
    worker.connections.erase(&connection);
  }
  --connections;
  end_task();
}

Server::Server() : impl_(std::make_unique<Impl>()) {}

base::Result<std::unique_ptr<Server>> Server::start(std::vector<ListenerSettings> listeners,
                                                    ServerSettings settings) {
  ::signal(SIGPIPE, SIG_IGN);  // sendfile has no MSG_NOSIGNAL
  std::unique_ptr<Server> server(new Server());
  Impl& impl = *server->impl_;
  impl.settings = settings;
  const unsigned threads = std::max(1U, settings.threads);
  for (ListenerSettings& listener : listeners) {
    Listening listening;
    if (!listener.unix_path.empty()) {
      base::Result<base::UniqueFd> fd = bind_unix(listener);
      if (!fd) return std::unexpected(fd.error());
      listening.fds.push_back(std::move(*fd));
    } else {
      // SO_REUSEPORT would let two processes share a port unnoticed: a plain bind first shows that
      // it is free.
      LARDER_TRY(bind_tcp(listener, listener.port, Sharing::Alone));
      listening.port = listener.port;
      for (unsigned i = 0; i < threads; ++i) {
        base::Result<base::UniqueFd> fd = bind_tcp(listener, listening.port, Sharing::BetweenLoops);
        if (!fd) return std::unexpected(fd.error());
        const base::Result<std::uint16_t> port = bound_port(fd->get());
        if (!port) return std::unexpected(port.error());
        listening.port = *port;
        listening.fds.push_back(std::move(*fd));
      }
    }
    listening.settings = std::move(listener);
    impl.listeners.push_back(std::move(listening));
  }
  for (unsigned i = 0; i < threads; ++i) {
    auto worker = std::make_unique<Worker>();
    for (std::size_t index = 0; index < impl.listeners.size(); ++index) {
      Listening& listening = impl.listeners[index];
      worker->handlers.push_back(listening.settings.handler(worker->loop));
      worker->accepting.push_back(i < listening.fds.size()
                                      ? std::make_unique<net::Socket>(worker->loop,
                                                                      std::move(listening.fds[i]),
                                                                      net::Socket::Trigger::Level)
                                      : nullptr);
      if (worker->accepting.back() != nullptr) {
        impl.begin_task();
        worker->loop.spawn(impl.accept(*worker, index));
      }
    }
    impl.workers.push_back(std::move(worker));
  }
  for (const auto& worker : impl.workers) {
    worker->thread = std::thread([&loop = worker->loop] { loop.run(); });
  }
  return server;
}

Server::~Server() {
  stop(std::chrono::seconds(10));
}

void Server::stop(std::chrono::milliseconds grace) {
  Impl& impl = *impl_;
  if (impl.stopped) return;
  impl.stopped = true;
  impl.stopping = true;
  const auto on_each = [&](auto action) {
    for (const auto& worker : impl.workers) {
      worker->loop.post([action, raw = worker.get()] {
        for (Connection* connection : raw->connections) action(*connection);
      });
    }
  };
  for (const auto& worker : impl.workers) {
    worker->loop.post([raw = worker.get()] {
      for (const auto& socket : raw->accepting) {
        if (socket) socket->cancel();
      }
    });
  }
  on_each([](Connection& connection) { connection.drain(); });
  if (!impl.wait_for_tasks(grace)) {
    on_each([](Connection& connection) { connection.abort(); });
    impl.wait_for_tasks(std::chrono::seconds(5));
  }
  for (const auto& worker : impl.workers) worker->loop.stop();
  for (const auto& worker : impl.workers) {
    if (worker->thread.joinable()) worker->thread.join();
  }
  for (const Listening& listening : impl.listeners) {
    if (!listening.settings.unix_path.empty()) ::unlink(listening.settings.unix_path.c_str());
  }
}

std::uint16_t Server::port(std::string_view listener) const {
  for (const Listening& listening : impl_->listeners) {
    if (listening.settings.name == listener) return listening.port;
  }
  return 0;
}

std::size_t Server::connection_count() const {
  return impl_->connections;
}

}  // namespace larder::server
