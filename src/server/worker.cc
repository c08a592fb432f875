#include "server/worker.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <coroutine>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"

namespace larder::server {

namespace {

// Connections taken from one listener before other work of the loop gets its turn.
constexpr int kAcceptTurn = 64;
// Connections beyond the limit for those listeners that only administrators reach.
constexpr std::size_t kSpare = 256;
// Connections beyond the limit at most, while idle ones end for them.
constexpr std::size_t kMostEnding = 256;

}  // namespace

void Worker::start() {
  thread_ = std::thread([this] { loop_.run(); });
}

void Worker::finish() {
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

void Worker::set_rules(const ConnectionRules& rules) {
  loop_.post([this, rules] {
    rules_ = rules;
    ticker_.arm();
  });
}

void Worker::listen(const std::shared_ptr<Port>& port) {
  server_.tasks.begin();
  loop_.post([this, port] {
    port->handler = port->settings.handler(loop_);
    port->socket =
        std::make_unique<net::Socket>(loop_, std::move(port->fd), net::Socket::Trigger::Level);
    loop_.spawn(accept(port));
    if (server_.closing && port->socket) port->socket->cancel();
  });
}

void Worker::close(const std::shared_ptr<Port>& port) {
  loop_.post([port] {
    if (port->socket) port->socket->cancel();
  });
}

void Worker::drain() {
  loop_.post([this] {
    for (Connection* connection : connections_) connection->drain();
  });
}

void Worker::abort() {
  loop_.post([this] {
    for (net::Stream* stream : handshakes_) stream->socket().cancel();
    for (Connection* connection : connections_) connection->abort();
  });
}

std::size_t Worker::running_answers() const {
  return static_cast<std::size_t>(
      std::count_if(connections_.begin(), connections_.end(),
                    [](const Connection* connection) { return !connection->is_idle(); }));
}

// ---- A connection's life -----------------------------------------------------------------------

net::Task<void> Worker::accept(std::shared_ptr<Port> port) {
  net::Socket& socket = *port->socket;
  while (co_await socket.readable(base::SteadyTime::max())) {
    if (server_.closing) break;
    const int error = accept_turn(port, kAcceptTurn);
    if (error == EMFILE || error == ENFILE || error == ENOMEM) {
      base::log_error("cannot accept a connection", {{"reason", std::strerror(error)}});
      co_await net::sleep_for(std::chrono::milliseconds(100));
    }
  }
  // Who has connected already is served, unless the whole server ends: then the socket stays, so
  // that nobody is refused while the process lives.
  if (!server_.closing) {
    accept_turn(port, SOMAXCONN);
    port->socket.reset();
  }
  server_.tasks.end();
}

// Until nobody waits; gives the error of errno that ended it.
int Worker::accept_turn(const std::shared_ptr<Port>& port, int most) {
  for (int turn = 0; turn < most && !server_.closing; ++turn) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    base::UniqueFd fd(::accept4(port->socket->fd(), reinterpret_cast<sockaddr*>(&address), &length,
                                SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (!fd) return errno;
    admit(port, std::move(fd), address);
  }
  return 0;
}

// Serves it, or closes it at once because somebody has enough and no connection is idle.
void Worker::admit(const std::shared_ptr<Port>& port, base::UniqueFd fd,
                   const sockaddr_storage& address) {
  const bool counted = port->settings.limit_clients;
  const auto key = counted ? ClientKey::of(address) : std::nullopt;
  std::optional<Clients::Place> place = key ? server_.clients.enter(*key, server_.client_limit)
                                            : std::optional<Clients::Place>(Clients::Place());
  if (!place) {
    server_.counts.refused_client.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  Peer peer = peer_of(fd.get(), address);
  const bool has_room = counted ? take_place(server_.connection_limit) || make_room()
                                : take_place(server_.connection_limit + kSpare);
  if (has_room) {
    begin(port, std::move(fd), std::move(peer), std::move(*place));
  } else if (counted && server_.workers.size() > 1 && server_.ending < kMostEnding) {
    server_.tasks.begin();
    loop_.spawn(admit_for_another(port, std::move(fd), std::move(peer), std::move(*place)));
  } else {
    server_.counts.refused_total.fetch_add(1, std::memory_order_relaxed);
  }
}

// Several loops admit at once: no two of them see the same place free.
bool Worker::take_place(std::size_t limit) {
  std::size_t taken = server_.places;
  while (taken < limit) {
    if (server_.places.compare_exchange_weak(taken, taken + 1)) return true;
  }
  return false;
}

// Ends the connection that has been idle longest on that loop, if one is. Its place is then that of
// the connection for which this was asked.
bool Worker::make_room() {
  if (server_.ending >= kMostEnding) return false;
  Connection* const idle = idle_.longest_idle(connections_, loop_.now());
  if (idle == nullptr) return false;
  idle->make_room();
  ++server_.ending;
  server_.counts.made_room.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// Serves it when another loop has a connection to spare.
net::Task<void> Worker::admit_for_another(std::shared_ptr<Port> port, base::UniqueFd fd, Peer peer,
                                          Clients::Place place) {
  struct Answer {
    Worker& asked;
    Worker& asking;
    bool made = false;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      asked.loop_.post([this, waiting] {
        made = asked.make_room();
        asking.loop_.post([waiting] { waiting.resume(); });
      });
    }
    bool await_resume() const { return made; }
  };
  bool made = false;
  for (std::size_t i = 0; i < server_.workers.size() && !made; ++i) {
    if (server_.workers[i].get() == this) continue;
    Answer answer{.asked = *server_.workers[i], .asking = *this};
    made = co_await answer;
  }
  if (made && !server_.closing) {
    begin(port, std::move(fd), std::move(peer), std::move(place));
  } else if (made) {
    --server_.places;
  } else {
    server_.counts.refused_total.fetch_add(1, std::memory_order_relaxed);
  }
  server_.tasks.end();
}

void Worker::begin(const std::shared_ptr<Port>& port, base::UniqueFd fd, Peer peer,
                   Clients::Place place) {
  ++server_.connections;
  server_.counts.accepted.fetch_add(1, std::memory_order_relaxed);
  server_.tasks.begin();
  loop_.spawn(serve(port, std::move(fd), std::move(peer), std::move(place)));
}

net::Task<std::unique_ptr<net::Stream>> Worker::secure(const ListenerSettings& listener,
                                                       base::UniqueFd fd, Peer& peer) {
  // Ends at once when the server stops.
  struct Listed {
    Worker& of;
    net::Stream* stream;
    Listed(Worker& worker, net::Stream* stream) : of(worker), stream(stream) {
      of.handshakes_.insert(stream);
    }
    ~Listed() { of.handshakes_.erase(stream); }
  };
  const base::SteadyTime deadline = std::chrono::steady_clock::now() + rules_.timeouts.handshake;
  std::shared_ptr<const net::TlsContext> context = listener.tls();
  std::string failure = "no certificate is active";
  std::unique_ptr<net::TlsStream> secured;  // outlives what it was shown is told
  if (context == nullptr) {
    const auto plain = net::make_plain_stream(loop_, std::move(fd));
    const Listed listed(*this, plain.get());
    co_await net::refuse_tls(*plain, deadline);
  } else {
    secured = net::make_tls_stream(loop_, std::move(fd), std::move(context));
    const Listed listed(*this, secured.get());
    failure = co_await secured->handshake(deadline);
    if (failure.empty() && secured->ends_with_handshake()) {
      secured->finish();
      co_return nullptr;
    }
    if (failure.empty()) {
      peer.client_certificate = secured->peer_certificate();
      co_return std::move(secured);
    }
  }
  if (listener.on_handshake_failure && !server_.closing) {
    listener.on_handshake_failure(peer.address, failure, secured ? secured->shown() : nullptr);
  }
  co_return nullptr;
}

// What a client that does not like the certificate does: some say so only after the handshake,
// others just close.
void Worker::tell_silent_end(const ListenerSettings& listener, const Connection& connection) {
  const std::string_view alert = connection.stream().alert();
  const net::ShownIdentity* const shown = connection.stream().shown();
  if (!alert.empty()) {
    if (listener.on_handshake_failure)
      listener.on_handshake_failure(connection.peer().address, alert, shown);
  } else if (shown != nullptr && listener.on_silent_end) {
    listener.on_silent_end(connection.peer().address, *shown);
  }
}

net::Task<void> Worker::serve(std::shared_ptr<Port> port, base::UniqueFd fd, Peer peer,
                              Clients::Place place) {
  std::unique_ptr<net::Stream> stream;
  peer.tls = port->settings.tls != nullptr;
  if (server_.closing) {
    fd.reset();
  } else if (peer.tls) {
    stream = co_await secure(port->settings, std::move(fd), peer);
  } else {
    stream = net::make_plain_stream(loop_, std::move(fd));
  }
  bool leaves_place = false;
  if (stream != nullptr && !server_.closing) {
    Connection connection(std::move(stream), std::move(peer), *port->handler, rules_,
                          place.egress());
    if (server_.stopping) connection.drain();
    connections_.insert(&connection);
    co_await connection.serve();
    connections_.erase(&connection);
    if (connection.ended_silently()) tell_silent_end(port->settings, connection);
    leaves_place = connection.makes_room();
  }
  if (leaves_place) {
    --server_.ending;
  } else {
    --server_.places;
  }
  --server_.connections;
  server_.tasks.end();
}

}  // namespace larder::server
