// What a TLS listener presents: a certificate chain with its key, and how it treats client
// certificates. Immutable after creation and shared between threads; a new certificate means a new
// context.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/published.h"

namespace larder::net {

class TlsContext {
 public:
  struct Settings {
    std::string chain_pem;  // leaf first
    std::string key_pem;    // secret
    // Ask for a client certificate and accept any, also a self-signed one: the handshake proves
    // that the peer holds its key, nothing else (RFC 8705 section 2.2). Never on ports of Windows
    // clients: WinHTTP refuses even the question.
    bool ask_client_certificate = false;
  };
  // TLS 1.2 and 1.3, ALPN http/1.1, session tickets with a key of this context's own.
  static base::Result<std::shared_ptr<const TlsContext>> create(const Settings& settings);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  void* native() const { return context_; }  // SSL_CTX*, for src/net only

 private:
  explicit TlsContext(void* context) : context_(context) {}
  void* context_;
};

// Where a listener finds the context for its next handshake.
class TlsContextHolder : public base::Published<TlsContext> {};

}  // namespace larder::net
