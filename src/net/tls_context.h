// What a TLS listener presents: one or more certificate chains with their keys, and how it treats
// client certificates. Immutable after creation and shared between threads; a new certificate means
// a new context.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/published.h"
#include "net/shown_identity.h"
#include "net/stapling.h"
#include "net/ticket_keys.h"
#include "net/tls_challenges.h"

namespace larder::net {

class TlsContext {
 public:
  struct Identity {
    std::string chain_pem;    // leaf first
    std::string key_pem;      // secret
    bool is_default = false;  // for clients that name nobody (identity_choice.h)
    std::shared_ptr<std::atomic<bool>> accepted = nullptr;  // as of ShownIdentity
  };
  struct Settings {
    std::vector<Identity> identities = {};  // at least one; of equals the first counts
    // Ask for a client certificate and accept any, also a self-signed one: the handshake proves
    // that the peer holds its key, nothing else (RFC 8705 section 2.2). Never on ports of Windows
    // clients: WinHTTP refuses even the question.
    bool ask_client_certificate = false;
    // Shared with the contexts before and after this one, so that clients come back over a change
    // of certificates; never between listeners that ask for certificates and those that do not.
    std::shared_ptr<TicketKeys> tickets = nullptr;
    bool answers_challenge = false;        // ALPN is acme-tls/1 instead of http/1.1
    const StapleBoard* staples = nullptr;  // OCSP answers for clients; outlives all connections
  };
  // TLS 1.2 and 1.3, ALPN http/1.1, session tickets.
  static base::Result<std::shared_ptr<const TlsContext>> create(const Settings& settings);
  // For a listener while challenges are open: answers them, and every other client as `others`
  // would; where that is null, with the fatal alert that refuse_tls gives.
  static base::Result<std::shared_ptr<const TlsContext>> create_for_challenges(
      std::shared_ptr<const TlsChallenges> challenges, std::shared_ptr<const TlsContext> others);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // A new SSL*, for src/net only. The context must outlive it; `fd` tells the local address.
  void* new_session(int fd) const;

  void* native() const;  // SSL_CTX*, for src/net only

  // What the client of this SSL* of this context was shown; null when nothing was, as where it came
  // back with a ticket, and for the answer to a challenge. Lives as long as the context. For
  // src/net only.
  const ShownIdentity* shown_in(const void* session) const;

  struct Parts;

 private:
  explicit TlsContext(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Where a listener finds the context for its next handshake.
class TlsContextHolder : public base::Published<TlsContext> {};

}  // namespace larder::net
