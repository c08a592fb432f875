// Answers of a TLS listener to tls-alpn-01 challenges (RFC 8737): a client that offers the protocol
// "acme-tls/1", and nothing else, gets the certificate of the challenge that is open for the name
// that it asks for, and the connection ends with the handshake. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.h"

namespace larder::net {

class TlsContext;

class TlsChallenges {
 public:
  // `server_name` as SNI has it, in lower case: a DNS name, or for an address its name in
  // in-addr.arpa or ip6.arpa (RFC 8738 section 6). AlreadyExists while another is open for the
  // name: a handshake does not say which one it is about. Only who opened one closes it.
  base::Status open(const std::string& server_name, const std::string& certificate_pem,
                    const std::string& key_pem);
  void close(const std::string& server_name);

  bool any_open() const { return count_.load(std::memory_order_relaxed) > 0; }
  // Null when none is open for that name.
  std::shared_ptr<const TlsContext> find(std::string_view server_name) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const TlsContext>, std::less<>> contexts_;
  std::atomic<std::size_t> count_{0};
};

// The protocol of a connection that ends with its handshake.
inline constexpr std::string_view kChallengeProtocol = "acme-tls/1";

}  // namespace larder::net
