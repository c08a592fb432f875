// Who is on the other side of a connection.
#pragma once

#include <optional>
#include <string>

namespace larder::server {

struct Peer {
  std::string address;  // "192.0.2.7" or "2001:db8::7"; empty on a unix socket
  bool tls = false;
  std::string
      client_certificate;  // DER of the certificate proven in the handshake; empty when none.
                           // Proof of possession only: chain and names are the handler's to judge.
  // Of the process at the other end of a unix socket.
  struct Credentials {
    unsigned user = 0;
    unsigned group = 0;
    int process = 0;
  };
  std::optional<Credentials> credentials;
};

}  // namespace larder::server
