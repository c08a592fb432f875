#include "server/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "base/log.h"
#include "server/clients.h"
#include "server/idle_search.h"

namespace larder::server {

namespace {

// Connections taken from one listener before other work of the loop gets its turn.
constexpr int kAcceptTurn = 64;
// Connections beyond the limit for those listeners that only administrators reach.
constexpr std::size_t kSpare = 256;
// Connections beyond the limit at most, while idle ones end for them.
constexpr std::size_t kMostEnding = 256;

// One listener on one loop.
struct Port {
  explicit Port(ListenerSettings listener) : settings(std::move(listener)) {}
  const ListenerSettings settings;
  std::unique_ptr<Handler> handler;
  base::UniqueFd fd;                    // bound, until the loop's thread makes the socket of it
  std::unique_ptr<net::Socket> socket;  // goes when nothing is accepted here any more
};

// One place where the server listens, as the thread that changes settings sees it.
struct Listening {
  ListenerSettings settings;
  std::uint16_t port = 0;
  std::vector<std::shared_ptr<Port>> ports;  // by loop; a unix socket has one
};

// Lets connections go whose turn to send has come.
class EgressTicker final : public net::Timed {
 public:
  EgressTicker(net::Loop& loop, Egress& egress) : egress_(egress) { loop.watch(*this); }
  void arm() { deadline_ = std::chrono::steady_clock::now(); }

 private:
  void expire() override {
    egress_.distribute();
    if (egress_.is_on()) arm();
  }
  Egress& egress_;
};

}  // namespace

// One loop thread with its connections.
struct Worker {
  explicit Worker(Egress& egress) : ticker(loop, egress) {}
  net::Loop loop;
  EgressTicker ticker;
  ConnectionRules rules;
  std::vector<std::shared_ptr<Port>> ports;  // that accept
  std::unordered_set<Connection*> connections;
  std::unordered_set<net::Stream*> handshakes;  // that run
  IdleSearch idle;
  std::thread thread;
};

struct Server::Impl {
  Egress egress;
  Clients clients;
  ServerCounts counts;
  std::atomic<std::size_t> connection_limit = 0;
  std::atomic<std::size_t> client_limit = 0;
  std::vector<std::unique_ptr<Worker>> workers;
  std::mutex listeners_mutex;  // guards listeners; held while they are changed
  std::vector<Listening> listeners;
  std::atomic<std::size_t> connections = 0;
  std::atomic<std::size_t> ending = 0;  // of them, to make room for others
  std::mutex tasks_mutex;
  std::condition_variable task_ended;
  std::size_t tasks = 0;  // accept loops and connections that have not ended
  std::size_t ended_tasks = 0;
  std::atomic<bool> stopping = false;  // who comes is served one answer
  std::atomic<bool> closing = false;   // nobody is served any more
  bool stopped = true;                 // until the threads run

  void begin_task() {
    const std::lock_guard lock(tasks_mutex);
    ++tasks;
  }
  void end_task() {
    const std::lock_guard lock(tasks_mutex);
    --tasks;
    ++ended_tasks;
    task_ended.notify_all();
  }
  bool wait_for_tasks(std::chrono::milliseconds limit) {
    std::unique_lock lock(tasks_mutex);
    return task_ended.wait_for(lock, limit, [this] { return tasks == 0; });
  }
  bool ask_each_loop(base::SteadyTime deadline, const std::function<void(Worker&)>& question);
  void wait_for_answers(std::chrono::milliseconds limit);

  base::Result<Listening> open(const ListenerSettings& listener);
  void listen(Listening& listening);
  void close(const Listening& listening);
  net::Task<void> accept(Worker& worker, std::shared_ptr<Port> port);
  int accept_turn(Worker& worker, const std::shared_ptr<Port>& port, int most);
  void admit(Worker& worker, const std::shared_ptr<Port>& port, base::UniqueFd fd,
             const sockaddr_storage& address);
  bool is_full() const { return connections - ending >= connection_limit; }
  bool make_room(Worker& worker);
  net::Task<void> admit_for_another(Worker& worker, std::shared_ptr<Port> port, base::UniqueFd fd,
                                    Peer peer, Clients::Place place);
  void begin(Worker& worker, const std::shared_ptr<Port>& port, base::UniqueFd fd, Peer peer,
             Clients::Place place);
  net::Task<void> serve(Worker& worker, std::shared_ptr<Port> port, base::UniqueFd fd, Peer peer,
                        Clients::Place place);
  // The stream of the connection; null when there is none to go on with.
  net::Task<std::unique_ptr<net::Stream>> secure(Worker& worker, const ListenerSettings& listener,
                                                 base::UniqueFd fd, Peer& peer);
};

// ---- Accepting ---------------------------------------------------------------------------------

net::Task<void> Server::Impl::accept(Worker& worker, std::shared_ptr<Port> port) {
  net::Socket& socket = *port->socket;
  while (co_await socket.readable(base::SteadyTime::max())) {
    if (closing) break;
    const int error = accept_turn(worker, port, kAcceptTurn);
    if (error == EMFILE || error == ENFILE || error == ENOMEM) {
      base::log_error("cannot accept a connection", {{"reason", std::strerror(error)}});
      co_await net::sleep_for(std::chrono::milliseconds(100));
    }
  }
  // Who has connected already is served, unless the whole server ends: then the socket stays, so
  // that nobody is refused while the process lives.
  if (!closing) {
    accept_turn(worker, port, SOMAXCONN);
    port->socket.reset();
  }
  std::erase(worker.ports, port);
  end_task();
}

// Until nobody waits; gives the error of errno that ended it.
int Server::Impl::accept_turn(Worker& worker, const std::shared_ptr<Port>& port, int most) {
  for (int turn = 0; turn < most && !closing; ++turn) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    base::UniqueFd fd(::accept4(port->socket->fd(), reinterpret_cast<sockaddr*>(&address), &length,
                                SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (!fd) return errno;
    admit(worker, port, std::move(fd), address);
  }
  return 0;
}

// Serves it, or closes it at once because somebody has enough and no connection is idle.
void Server::Impl::admit(Worker& worker, const std::shared_ptr<Port>& port, base::UniqueFd fd,
                         const sockaddr_storage& address) {
  const bool counted = port->settings.limit_clients;
  const auto key = counted ? ClientKey::of(address) : std::nullopt;
  std::optional<Clients::Place> place =
      key ? clients.enter(*key, client_limit) : std::optional<Clients::Place>(Clients::Place());
  if (!place) {
    counts.refused_client.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  Peer peer = peer_of(fd.get(), address);
  const bool has_room =
      counted ? !is_full() || make_room(worker) : connections < connection_limit + kSpare;
  if (has_room) {
    begin(worker, port, std::move(fd), std::move(peer), std::move(*place));
  } else if (counted && workers.size() > 1 && ending < kMostEnding) {
    begin_task();
    worker.loop.spawn(
        admit_for_another(worker, port, std::move(fd), std::move(peer), std::move(*place)));
  } else {
    counts.refused_total.fetch_add(1, std::memory_order_relaxed);
  }
}

// Ends the connection that has been idle longest on that loop, if one is.
bool Server::Impl::make_room(Worker& worker) {
  if (ending >= kMostEnding) return false;
  Connection* const idle = worker.idle.longest_idle(worker.connections, worker.loop.now());
  if (idle == nullptr) return false;
  idle->make_room();
  ++ending;
  counts.made_room.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// Serves it when another loop has a connection to spare.
net::Task<void> Server::Impl::admit_for_another(Worker& worker, std::shared_ptr<Port> port,
                                                base::UniqueFd fd, Peer peer,
                                                Clients::Place place) {
  struct Answer {
    Impl& server;
    Worker& asked;
    Worker& asking;
    bool made = false;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
      asked.loop.post([this, waiting] {
        made = server.make_room(asked);
        asking.loop.post([waiting] { waiting.resume(); });
      });
    }
    bool await_resume() const { return made; }
  };
  bool made = false;
  for (std::size_t i = 0; i < workers.size() && !made; ++i) {
    if (workers[i].get() == &worker) continue;
    Answer answer{.server = *this, .asked = *workers[i], .asking = worker};
    made = co_await answer;
  }
  if (made && !closing) {
    begin(worker, port, std::move(fd), std::move(peer), std::move(place));
  } else if (!made) {
    counts.refused_total.fetch_add(1, std::memory_order_relaxed);
  }
  end_task();
}

void Server::Impl::begin(Worker& worker, const std::shared_ptr<Port>& port, base::UniqueFd fd,
                         Peer peer, Clients::Place place) {
  ++connections;
  counts.accepted.fetch_add(1, std::memory_order_relaxed);
  begin_task();
  worker.loop.spawn(serve(worker, port, std::move(fd), std::move(peer), std::move(place)));
}

net::Task<std::unique_ptr<net::Stream>> Server::Impl::secure(Worker& worker,
                                                             const ListenerSettings& listener,
                                                             base::UniqueFd fd, Peer& peer) {
  // Ends at once when the server stops.
  struct Listed {
    Worker& of;
    net::Stream* stream;
    Listed(Worker& worker, net::Stream* stream) : of(worker), stream(stream) {
      of.handshakes.insert(stream);
    }
    ~Listed() { of.handshakes.erase(stream); }
  };
  const base::SteadyTime deadline =
      std::chrono::steady_clock::now() + worker.rules.timeouts.handshake;
  std::shared_ptr<const net::TlsContext> context = listener.tls();
  std::string failure = "no certificate is active";
  if (context == nullptr) {
    const auto plain = net::make_plain_stream(worker.loop, std::move(fd));
    const Listed listed(worker, plain.get());
    co_await net::refuse_tls(*plain, deadline);
  } else {
    auto secured = net::make_tls_stream(worker.loop, std::move(fd), std::move(context));
    const Listed listed(worker, secured.get());
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
  if (listener.on_handshake_failure && !closing) {
    listener.on_handshake_failure(peer.address, failure);
  }
  co_return nullptr;
}

net::Task<void> Server::Impl::serve(Worker& worker, std::shared_ptr<Port> port, base::UniqueFd fd,
                                    Peer peer, Clients::Place place) {
  std::unique_ptr<net::Stream> stream;
  peer.tls = port->settings.tls != nullptr;
  if (closing) {
    fd.reset();
  } else if (peer.tls) {
    stream = co_await secure(worker, port->settings, std::move(fd), peer);
  } else {
    stream = net::make_plain_stream(worker.loop, std::move(fd));
  }
  if (stream != nullptr && !closing) {
    Connection connection(std::move(stream), std::move(peer), *port->handler, worker.rules,
                          place.egress());
    if (stopping) connection.drain();
    worker.connections.insert(&connection);
    co_await connection.serve();
    worker.connections.erase(&connection);
    if (connection.makes_room()) --ending;
  }
  --connections;
  end_task();
}

// ---- Listeners ---------------------------------------------------------------------------------

base::Result<Listening> Server::Impl::open(const ListenerSettings& listener) {
  const bool port_is_ours =
      std::any_of(listeners.begin(), listeners.end(), [&](const Listening& other) {
        return listener.port != 0 && other.settings.port == listener.port;
      });
  auto bound = bind_listener(listener, static_cast<unsigned>(workers.size()), port_is_ours);
  if (!bound) return std::unexpected(bound.error());
  Listening listening;
  listening.settings = listener;
  listening.port = bound->port;
  for (std::size_t i = 0; i < bound->fds.size(); ++i) {
    auto port = std::make_shared<Port>(listener);
    port->fd = std::move(bound->fds[i]);
    listening.ports.push_back(std::move(port));
  }
  return listening;
}

// From the loops' next turn on.
void Server::Impl::listen(Listening& listening) {
  for (std::size_t i = 0; i < listening.ports.size(); ++i) {
    begin_task();
    workers[i]->loop.post([this, worker = workers[i].get(), port = listening.ports[i]] {
      port->handler = port->settings.handler(worker->loop);
      port->socket = std::make_unique<net::Socket>(worker->loop, std::move(port->fd),
                                                   net::Socket::Trigger::Level);
      worker->ports.push_back(port);
      worker->loop.spawn(accept(*worker, port));
      if (closing && port->socket) port->socket->cancel();
    });
  }
}

void Server::Impl::close(const Listening& listening) {
  for (std::size_t i = 0; i < listening.ports.size(); ++i) {
    workers[i]->loop.post([port = listening.ports[i]] {
      if (port->socket) port->socket->cancel();
    });
  }
  if (!listening.settings.unix_path.empty()) ::unlink(listening.settings.unix_path.c_str());
}

base::Status Server::set_listeners(const std::vector<ListenerSettings>& wanted) {
  Impl& impl = *impl_;
  const std::lock_guard lock(impl.listeners_mutex);
  if (impl.stopping) return base::fail(base::ErrorCode::Unavailable, "the server is stopping");
  std::vector<Listening> added;
  std::vector<bool> stays(impl.listeners.size(), false);
  for (const ListenerSettings& listener : wanted) {
    const auto same =
        std::find_if(impl.listeners.begin(), impl.listeners.end(),
                     [&](const Listening& other) { return same_place(other.settings, listener); });
    if (same == impl.listeners.end()) {
      base::Result<Listening> opened = impl.open(listener);
      if (!opened) return std::unexpected(opened.error());
      added.push_back(std::move(*opened));
      continue;
    }
    stays[static_cast<std::size_t>(same - impl.listeners.begin())] = true;
    if (same->settings.congestion_control == listener.congestion_control) continue;
    same->settings.congestion_control = listener.congestion_control;
    // An empty name is the system's own, which a new socket would tell: the next start uses it.
    for (std::size_t i = 0; i < same->ports.size() && !listener.congestion_control.empty(); ++i) {
      impl.workers[i]->loop.post([port = same->ports[i], name = listener.congestion_control] {
        if (!port->socket) return;
        ::setsockopt(port->socket->fd(), IPPROTO_TCP, TCP_CONGESTION, name.c_str(),
                     static_cast<socklen_t>(name.size()));
      });
    }
  }
  for (std::size_t i = impl.listeners.size(); i-- > 0;) {
    if (stays[i]) continue;
    impl.close(impl.listeners[i]);
    impl.listeners.erase(impl.listeners.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (Listening& listening : added) {
    impl.listen(listening);
    impl.listeners.push_back(std::move(listening));
  }
  return {};
}

void Server::set_limits(const Limits& limits) {
  Impl& impl = *impl_;
  impl.connection_limit = limits.connections;
  impl.client_limit = limits.connections_per_client;
  impl.egress.set_limits(limits.egress);
  ConnectionRules rules;
  rules.timeouts = limits.timeouts;
  rules.lowest_rate = limits.lowest_rate;
  rules.egress = impl.egress.is_on() ? &impl.egress : nullptr;
  rules.counts = &impl.counts;
  for (const auto& worker : impl.workers) {
    worker->loop.post([raw = worker.get(), rules] {
      raw->rules = rules;
      raw->ticker.arm();
    });
  }
}

// ---- Start and end -----------------------------------------------------------------------------

Server::Server() : impl_(std::make_unique<Impl>()) {}

base::Result<std::unique_ptr<Server>> Server::start(const std::vector<ListenerSettings>& listeners,
                                                    const ServerSettings& settings) {
  ::signal(SIGPIPE, SIG_IGN);  // sendfile has no MSG_NOSIGNAL
  std::unique_ptr<Server> server(new Server());
  Impl& impl = *server->impl_;
  for (unsigned i = 0; i < std::max(1U, settings.threads); ++i) {
    impl.workers.push_back(std::make_unique<Worker>(impl.egress));
  }
  server->set_limits(settings.limits);  // posted before anything that is accepted
  for (const ListenerSettings& listener : listeners) {
    base::Result<Listening> opened = impl.open(listener);
    if (!opened) return std::unexpected(opened.error());
    impl.listeners.push_back(std::move(*opened));
  }
  for (Listening& listening : impl.listeners) impl.listen(listening);
  for (const auto& worker : impl.workers) {
    worker->thread = std::thread([&loop = worker->loop] { loop.run(); });
  }
  impl.stopped = false;
  return server;
}

Server::~Server() {
  stop(std::chrono::seconds(10));
}

void Server::stop(std::chrono::milliseconds grace) {
  Impl& impl = *impl_;
  {
    const std::lock_guard lock(impl.listeners_mutex);
    if (impl.stopped) return;
    impl.stopped = true;
    impl.stopping = true;
  }
  const auto on_each = [&](auto action) {
    for (const auto& worker : impl.workers) {
      worker->loop.post([action, raw = worker.get()] {
        for (Connection* connection : raw->connections) action(*connection);
      });
    }
  };
  on_each([](Connection& connection) { connection.drain(); });
  impl.wait_for_answers(grace);
  impl.closing = true;
  for (const Listening& listening : impl.listeners) impl.close(listening);
  impl.egress.set_limits({});
  for (const auto& worker : impl.workers) {
    worker->loop.post([raw = worker.get()] {
      for (net::Stream* stream : raw->handshakes) stream->socket().cancel();
    });
  }
  on_each([](Connection& connection) { connection.abort(); });
  impl.wait_for_tasks(std::chrono::seconds(5));
  for (const auto& worker : impl.workers) worker->loop.stop();
  for (const auto& worker : impl.workers) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

// In its turn; false when one did not take it in time.
bool Server::Impl::ask_each_loop(base::SteadyTime deadline,
                                 const std::function<void(Worker&)>& question) {
  struct Roll {
    std::mutex mutex;
    std::condition_variable answered;
    std::size_t missing = 0;
  };
  const auto roll = std::make_shared<Roll>();
  roll->missing = workers.size();
  for (const auto& worker : workers) {
    worker->loop.post([roll, question, raw = worker.get()] {
      question(*raw);
      const std::lock_guard lock(roll->mutex);
      --roll->missing;
      roll->answered.notify_all();
    });
  }
  std::unique_lock lock(roll->mutex);
  return roll->answered.wait_until(lock, deadline, [&] { return roll->missing == 0; });
}

// Until no answer runs, also none of those who came meanwhile. Who has sent no request yet is not
// waited for.
void Server::Impl::wait_for_answers(std::chrono::milliseconds limit) {
  const base::SteadyTime deadline = std::chrono::steady_clock::now() + limit;
  const auto running = std::make_shared<std::atomic<std::size_t>>(0);
  for (;;) {
    *running = 0;
    std::unique_lock lock(tasks_mutex);
    const std::size_t ended_before = ended_tasks;
    lock.unlock();
    const bool asked = ask_each_loop(deadline, [running](Worker& worker) {
      *running += static_cast<std::size_t>(
          std::count_if(worker.connections.begin(), worker.connections.end(),
                        [](const Connection* connection) { return !connection->is_idle(); }));
    });
    if (!asked || *running == 0) return;
    lock.lock();
    // An answer that ends takes its connection along.
    if (!task_ended.wait_until(lock, deadline, [&] { return ended_tasks != ended_before; })) return;
  }
}

std::vector<base::UniqueFd> Server::listening_descriptors() const {
  const std::lock_guard lock(impl_->listeners_mutex);
  std::vector<base::UniqueFd> open;
  for (const Listening& listening : impl_->listeners) {
    for (const std::shared_ptr<Port>& port : listening.ports) {
      if (port->socket) open.emplace_back(::fcntl(port->socket->fd(), F_DUPFD_CLOEXEC, 0));
    }
  }
  return open;
}

bool Server::is_responsive(std::chrono::milliseconds limit) const {
  return impl_->ask_each_loop(std::chrono::steady_clock::now() + limit, [](Worker&) {});
}

void Server::on_each_loop(const std::function<void(net::Loop&)>& work) {
  for (const auto& worker : impl_->workers) {
    worker->loop.post([work, &loop = worker->loop] { work(loop); });
  }
}

std::uint16_t Server::port(std::string_view listener) const {
  const std::lock_guard lock(impl_->listeners_mutex);
  for (const Listening& listening : impl_->listeners) {
    if (listening.settings.name == listener) return listening.port;
  }
  return 0;
}

std::size_t Server::connection_count() const {
  return impl_->connections;
}

std::size_t Server::client_count() const {
  return impl_->clients.size();
}

const ServerCounts& Server::counts() const {
  return impl_->counts;
}

}  // namespace larder::server
