// A signer that is a program of another user, behind a unix socket of the service manager's: the
// node, which is not root, hands the request over and reads the chain. At the other end is
// `answer_signing_question` (signing_service.h).
//
// The node says nothing to a socket behind which anybody else listens: only root, whom the service
// manager runs as, and the user that the settings name.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "certs/signer.h"

namespace larder::signers {

struct SocketSettings {
  std::string path;  // absolute
  std::string user;  // who listens; empty: root alone
  std::chrono::milliseconds timeout{600'000};
};

class SocketSigner final : public certs::Signer {
 public:
  // `ending` is asked a few times a second: when it is true, the connection ends, and with it the
  // program.
  SocketSigner(SocketSettings settings, std::function<bool()> ending)
      : settings_(std::move(settings)), ending_(std::move(ending)) {}

  std::string_view name() const override { return "command"; }
  base::Result<std::string> sign(std::string_view request_pem) override;

 private:
  const SocketSettings settings_;
  const std::function<bool()> ending_;
};

}  // namespace larder::signers
