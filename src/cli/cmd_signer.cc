#include <unistd.h>

#include <memory>

#include "cli/commands.h"
#include "cli/output.h"
#include "signers/signing_service.h"

namespace larder::cli {
namespace {

struct SignerOptions {
  std::string peer;
  std::int64_t timeout = 600;
  std::vector<std::string> command;
};

int answer(const SignerOptions& options) {
  const char* const what = "cannot answer";
  if (!options.command.front().starts_with('/')) {
    return report({base::ErrorCode::InvalidArgument,
                   "\"" + options.command.front() + "\" is no absolute path"},
                  what);
  }
  const base::Status answered = signers::answer_signing_question(
      STDIN_FILENO, options.peer,
      {.command = options.command, .timeout = std::chrono::seconds(options.timeout)});
  if (!answered) {
    return report(answered.error(), what,
                  "standard input is to be the connection: larder-signer@.service shows how");
  }
  return kOk;
}

}  // namespace

void add_signer_commands(Command& root) {
  auto options = std::make_shared<SignerOptions>();
  Command& signer = root.command("signer", "The program that signs a node's requests.");
  signer
      .command("answer",
               "Answer one node on standard input, a unix socket, with what a program signs. "
               "For larder-signer@.service; see [[node.signer]] socket.")
      .option("--peer", options->peer, "The user that may ask, besides root.", Need::Required)
      .integer("--timeout", options->timeout, 1, 3600, "Seconds; the node may give less.")
      .positionals("PROGRAM", options->command,
                   "An absolute path, then arguments: request on its standard input, chain on its "
                   "standard output.")
      .example("larder signer answer --peer larder -- /usr/local/libexec/larder/sign")
      .run([options] { return answer(*options); });
}

}  // namespace larder::cli
