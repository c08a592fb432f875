// A signer that is a program of the administrator: it gets the request (PEM) on its standard input
// and gives the chain (PEM, leaf first) on its standard output.
//
// The program is started without a shell, as its own user when this process may change users, in a
// group of processes that ends with it, with no descriptor but its three, with no environment but
// PATH, LANG and LARDER_SIGNER_TIMEOUT (seconds), and in the folder /. What it writes to standard
// error goes to the log: bounded, without control characters, and not at all when it holds a
// private key.
//
// Exit codes (sysexits.h): 0 the chain is on standard output; 75 not yet, ask again later (a person
// has to approve the request: the same request comes again); 77 the authority refuses this
// request; every other one is a failure.
//
// Requires: this process ignores SIGPIPE.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "certs/signer.h"

namespace larder::signers {

inline constexpr std::size_t kCommandOutputLimit = 64 << 10;  // bytes of standard output
inline constexpr std::size_t kCommandErrorsLimit = 4 << 10;   // bytes of standard error kept

struct CommandSettings {
  std::vector<std::string> command;  // an absolute path, then arguments
  std::string user = {};             // empty: that of this process
  std::chrono::milliseconds timeout{600'000};
};

class CommandSigner final : public certs::Signer {
 public:
  // `ending` is asked a few times a second while the program runs: when it is true, the program is
  // killed.
  CommandSigner(CommandSettings settings, std::function<bool()> ending)
      : settings_(std::move(settings)), ending_(std::move(ending)) {}

  std::string_view name() const override { return "command"; }
  base::Result<std::string> sign(std::string_view request_pem) override;

 private:
  const CommandSettings settings_;
  const std::function<bool()> ending_;
};

// What a program wrote to standard error, fit for a log: one line.
std::string printable_errors(std::string_view text);

}  // namespace larder::signers
