// Where a node answers the challenges of an ACME server: http-01 on its HTTP listeners, tls-alpn-01
// on its HTTPS listeners. Nothing is answered unless a challenge is open. Thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/tls_challenges.h"
#include "net/tls_context.h"
#include "signers/acme_signer.h"

namespace larder::node {

// What an ACME server puts into SNI for tls-alpn-01. RFC 8738 section 6: addresses have no place
// there, their names for reverse lookup have.
std::string challenge_server_name(const signers::AcmeIdentifier& identifier);

class Challenges final : public signers::ChallengeResponder {
 public:
  explicit Challenges(const base::Clock& clock)
      : clock_(clock), tls_(std::make_shared<net::TlsChallenges>()) {}

  base::Result<std::shared_ptr<void>> open(signers::AcmeProofKind kind,
                                           const signers::AcmeIdentifier& identifier,
                                           const std::string& token,
                                           const std::string& key_authorization) override;

  // For every request over plain HTTP: costs one load while none is open.
  bool any_open_for_http() const { return http_count_.load(std::memory_order_relaxed) > 0; }
  // The body of the answer; nothing unless the path is that of an open challenge and the host is
  // the one that it is for.
  std::optional<std::string> find_http(std::string_view host, std::string_view path) const;

  // What an HTTPS listener uses instead of `active` (null: no certificate) while challenges are
  // open.
  std::shared_ptr<const net::TlsContext> context_for(std::shared_ptr<const net::TlsContext> active);

 private:
  struct Http {
    std::string host;
    std::string key_authorization;
  };
  base::Status open_tls(const signers::AcmeIdentifier& identifier, std::string_view answer,
                        const std::string& server_name);

  const base::Clock& clock_;
  const std::shared_ptr<net::TlsChallenges> tls_;
  mutable std::mutex mutex_;
  std::map<std::string, Http, std::less<>> http_;  // by token; guarded by mutex_
  std::atomic<std::size_t> http_count_{0};
  std::shared_ptr<const net::TlsContext> active_;   // guarded by mutex_, as what follows:
  std::shared_ptr<const net::TlsContext> wrapped_;  // `active_` with challenges
};

}  // namespace larder::node
