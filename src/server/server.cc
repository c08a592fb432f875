#include "server/server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "server/worker.h"

namespace larder::server {

namespace {

// One place where the server listens, as the thread that changes settings sees it.
struct Listening {
  ListenerSettings settings;
  std::uint16_t port = 0;
  std::vector<std::shared_ptr<Port>> ports;  // by loop; a unix socket has one
};

}  // namespace

struct Server::Impl {
  ServerState state;
  std::mutex listeners_mutex;  // guards listeners; held while they are changed
  std::vector<Listening> listeners;
  bool stopped = true;  // until the threads run

  base::Result<Listening> open(const ListenerSettings& listener);
  void listen(const Listening& listening);
  void close(const Listening& listening);
  void wait_for_answers(std::chrono::milliseconds limit);
  bool ask_each_loop(base::SteadyTime deadline, const std::function<void(Worker&)>& question);
};

// ---- Listeners ---------------------------------------------------------------------------------

base::Result<Listening> Server::Impl::open(const ListenerSettings& listener) {
  const bool port_is_ours =
      std::any_of(listeners.begin(), listeners.end(), [&](const Listening& other) {
        return listener.port != 0 && other.settings.port == listener.port;
      });
  auto bound = bind_listener(listener, static_cast<unsigned>(state.workers.size()), port_is_ours);
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

void Server::Impl::listen(const Listening& listening) {
  for (std::size_t i = 0; i < listening.ports.size(); ++i) {
    state.workers[i]->listen(listening.ports[i]);
  }
}

void Server::Impl::close(const Listening& listening) {
  for (std::size_t i = 0; i < listening.ports.size(); ++i) {
    state.workers[i]->close(listening.ports[i]);
  }
  if (!listening.settings.unix_path.empty()) ::unlink(listening.settings.unix_path.c_str());
}

base::Status Server::set_listeners(const std::vector<ListenerSettings>& wanted) {
  Impl& impl = *impl_;
  const std::lock_guard lock(impl.listeners_mutex);
  if (impl.state.stopping)
    return base::fail(base::ErrorCode::Unavailable, "the server is stopping");
  std::vector<Listening> added;
  std::vector<bool> stays(impl.listeners.size(), false);
  std::vector<std::pair<Listening*, const std::string*>> changed;  // to that congestion control
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
    if (same->settings.congestion_control != listener.congestion_control) {
      changed.emplace_back(&*same, &listener.congestion_control);
    }
  }
  // Nothing can fail from here on.
  for (const auto& [listening, name] : changed) {
    listening->settings.congestion_control = *name;
    // An empty name is the system's own, which a new socket would tell: the next start uses it.
    for (std::size_t i = 0; i < listening->ports.size() && !name->empty(); ++i) {
      impl.state.workers[i]->loop().post([port = listening->ports[i], own = *name] {
        if (!port->socket) return;
        ::setsockopt(port->socket->fd(), IPPROTO_TCP, TCP_CONGESTION, own.c_str(),
                     static_cast<socklen_t>(own.size()));
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
  impl.state.connection_limit = limits.connections;
  impl.state.client_limit = limits.connections_per_client;
  impl.state.egress.set_limits(limits.egress);
  ConnectionRules rules;
  rules.timeouts = limits.timeouts;
  rules.lowest_rate = limits.lowest_rate;
  rules.egress = impl.state.egress.is_on() ? &impl.state.egress : nullptr;
  rules.counts = &impl.state.counts;
  for (const auto& worker : impl.state.workers) worker->set_rules(rules);
}

// ---- Start and end -----------------------------------------------------------------------------

Server::Server() : impl_(std::make_unique<Impl>()) {}

base::Result<std::unique_ptr<Server>> Server::start(const std::vector<ListenerSettings>& listeners,
                                                    const ServerSettings& settings) {
  ::signal(SIGPIPE, SIG_IGN);  // sendfile has no MSG_NOSIGNAL
  std::unique_ptr<Server> server(new Server());
  Impl& impl = *server->impl_;
  for (unsigned i = 0; i < std::max(1U, settings.threads); ++i) {
    impl.state.workers.push_back(std::make_unique<Worker>(impl.state));
  }
  server->set_limits(settings.limits);  // posted before anything that is accepted
  for (const ListenerSettings& listener : listeners) {
    base::Result<Listening> opened = impl.open(listener);
    if (!opened) return std::unexpected(opened.error());
    impl.listeners.push_back(std::move(*opened));
  }
  for (const Listening& listening : impl.listeners) impl.listen(listening);
  for (const auto& worker : impl.state.workers) worker->start();
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
    impl.state.stopping = true;
  }
  for (const auto& worker : impl.state.workers) worker->drain();
  impl.wait_for_answers(grace);
  impl.state.closing = true;
  for (const Listening& listening : impl.listeners) impl.close(listening);
  impl.state.egress.set_limits({});
  for (const auto& worker : impl.state.workers) worker->abort();
  impl.state.tasks.wait_until_none(std::chrono::steady_clock::now() + std::chrono::seconds(5));
  for (const auto& worker : impl.state.workers) worker->finish();
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
  roll->missing = state.workers.size();
  for (const auto& worker : state.workers) {
    worker->loop().post([roll, question, raw = worker.get()] {
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
    const std::size_t ended = state.tasks.ended();
    const bool asked = ask_each_loop(
        deadline, [running](Worker& worker) { *running += worker.running_answers(); });
    if (!asked || *running == 0) return;
    // An answer that ends takes its connection along.
    if (!state.tasks.wait_for_more_ended(ended, deadline)) return;
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
  for (const auto& worker : impl_->state.workers) {
    worker->loop().post([work, &loop = worker->loop()] { work(loop); });
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
  return impl_->state.connections;
}

std::size_t Server::client_count() const {
  return impl_->state.clients.size();
}

const ServerCounts& Server::counts() const {
  return impl_->state.counts;
}

}  // namespace larder::server
