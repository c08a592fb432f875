// A certificate as clients are shown it in handshakes.
#pragma once

#include <atomic>
#include <memory>
#include <string>

namespace larder::net {

struct ShownIdentity {
  std::string sha256;  // of the certificate, hexadecimal
  // Becomes true when a client that was shown it goes on to send a request; null: nobody asks.
  std::shared_ptr<std::atomic<bool>> accepted;
};

}  // namespace larder::net
