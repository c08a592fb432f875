// Listeners on several loops: accepts connections, does handshakes, runs handlers, stops in order.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/tls_context.h"
#include "server/connection.h"
#include "server/exchange.h"

namespace larder::server {

// Called at each accepted connection, on loop threads; null while no certificate is active.
using TlsProvider = std::function<std::shared_ptr<const net::TlsContext>()>;

struct ListenerSettings {
  std::string name;                // for logs: "http", "https", ...
  std::string address;             // numeric IPv4 or IPv6; empty for a unix socket
  std::uint16_t port = 0;          // 0: any free one, see Server::port
  std::string unix_path;           // replaced when it exists and nobody listens; mode 0660
  TlsProvider tls;                 // empty: plain
  HandlerFactory handler;          // called once for each loop, before the loops run
  std::string congestion_control;  // of Linux, "bbr"; empty: the system's
  // On loop threads: a TLS handshake failed, for counters and logs.
  std::function<void(std::string_view address, std::string_view reason)> on_handshake_failure;
};

struct ServerSettings {
  unsigned threads = 1;
  std::size_t connection_limit = 20'000;  // over all listeners; more are closed at once
  Timeouts timeouts;
};

class Server {
 public:
  // Binds everything or nothing, then serves on threads of its own. Errors name the listener and
  // its address.
  static base::Result<std::unique_ptr<Server>> start(std::vector<ListenerSettings> listeners,
                                                     ServerSettings settings);
  // As stop(10 s).
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // No new connections, idle ones end, running answers may finish until the grace is over.
  void stop(std::chrono::milliseconds grace);

  // The port that the listener of that name is bound to.
  std::uint16_t port(std::string_view listener) const;
  std::size_t connection_count() const;

 private:
  Server();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::server
