// A signer that is an ACME server (RFC 8555; addresses by RFC 8738): orders a certificate for the
// names of the request, proves that this host answers under them, sends the request and fetches the
// chain. The private key of the certificate is not needed and not known here. An order that was
// begun for the same request is gone on with, also after a restart.
//
// Blocks, within the timeout; one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "certs/signer.h"
#include "client/exchange.h"
#include "signers/acme_messages.h"
#include "signers/acme_session.h"

namespace larder::signers {

enum class AcmeProofKind { Http01, TlsAlpn01 };  // RFC 8555 section 8.3, RFC 8737

// Where a host answers an ACME server's questions.
class ChallengeResponder {
 public:
  virtual ~ChallengeResponder() = default;
  // The host answers until the returned object is gone. AlreadyExists while another proof stands
  // in the way, which may be another signer's for the same name. Thread-safe.
  virtual base::Result<std::shared_ptr<void>> open(AcmeProofKind kind,
                                                   const AcmeIdentifier& identifier,
                                                   const std::string& token,
                                                   const std::string& key_authorization) = 0;
};

struct AcmeSettings {
  AcmeServer server;
  AcmeProofKind proof = AcmeProofKind::Http01;
  std::string order_file;       // keeps an order that is not finished (kept_order.h)
  std::string replaces;         // id of the certificate before (renewal_info.h); empty: none
  std::string preferred_chain;  // common name at the top of the chain; empty: the server's choice
  std::chrono::milliseconds timeout{600'000};
};

class AcmeSigner final : public certs::Signer {
 public:
  // `pause` waits, and is false when the process ends. All outlive the signer.
  AcmeSigner(AcmeSettings settings, client::HttpExchange exchange,
             std::function<bool(std::chrono::milliseconds)> pause, ChallengeResponder& responder,
             const base::Clock& clock);

  std::string_view name() const override { return "acme"; }
  base::Result<std::string> sign(std::string_view request_pem) override;
  base::Result<certs::RenewalAdvice> advise(const crypto::Certificate& leaf) override;
  void settle() override;
  std::chrono::seconds asked_to_wait() const override { return asked_to_wait_; }

 private:
  class Order;

  void count_failure() const;

  const AcmeSettings settings_;
  const client::HttpExchange exchange_;
  const std::function<bool(std::chrono::milliseconds)> pause_;
  ChallengeResponder& responder_;
  const base::Clock& clock_;
  std::chrono::seconds asked_to_wait_{0};
};

}  // namespace larder::signers
