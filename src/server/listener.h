// What clients connect to: an address and port, or a unix socket, with what is done there.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "net/tls_context.h"
#include "server/exchange.h"
#include "server/peer.h"

namespace larder::server {

// Called at each accepted connection, on loop threads; null while no certificate is active.
using TlsProvider = std::function<std::shared_ptr<const net::TlsContext>()>;

struct ListenerSettings {
  std::string name;                // for logs: "http", "https", ...
  std::string address;             // numeric IPv4 or IPv6; empty for a unix socket
  std::uint16_t port = 0;          // 0: any free one, see Server::port
  std::string unix_path;           // replaced when it exists and nobody listens; mode 0660
  TlsProvider tls;                 // empty: plain
  HandlerFactory handler;          // called once for each loop, on that loop
  std::string congestion_control;  // of Linux, "bbr"; empty: the system's
  // On loop threads, for counters and logs. `shown`: the certificate that the client was shown,
  // null when it was none. A TLS handshake failed, or the client said right after it what is wrong.
  std::function<void(std::string_view address, std::string_view reason,
                     const net::ShownIdentity* shown)>
      on_handshake_failure;
  // A client was shown the certificate in a handshake that succeeded, and closed without a byte of
  // a request.
  std::function<void(std::string_view address, const net::ShownIdentity& shown)> on_silent_end;
  // Connections here count against the limit of a client. Off for what only administrators reach.
  bool limit_clients = false;
};

// "http (0.0.0.0:80)", for errors and logs.
std::string describe(const ListenerSettings& listener);

// The same name at the same address, whatever is done there.
bool same_place(const ListenerSettings& a, const ListenerSettings& b);

struct BoundListener {
  std::uint16_t port = 0;
  std::vector<base::UniqueFd> fds;  // one a loop (TCP), or one in all (unix); listening
};

// Errors name the listener and its address. `port_is_ours`: this process listens on that port
// already, at another address, so that it cannot be asked whether the port is free.
base::Result<BoundListener> bind_listener(const ListenerSettings& listener, unsigned loops,
                                          bool port_is_ours);

// Who an accepted connection comes from.
Peer peer_of(int fd, const sockaddr_storage& address);

}  // namespace larder::server
