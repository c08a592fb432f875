#include "signers/signing_service.h"

#include <algorithm>

#include "base/log.h"
#include "signers/local_peer.h"
#include "signers/signing_messages.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

// For the question, and for the answer: both are small, and the node is on this machine.
constexpr std::chrono::seconds kExchangeTime{10};

WaitLimit exchange_limit() {
  return {.deadline = std::chrono::steady_clock::now() + kExchangeTime,
          .ending = [] { return false; }};
}

Status check_peer(uid_t asking, const std::string& peer) {
  if (asking == 0) return {};
  const auto expected = user_named(peer);
  if (!expected) return std::unexpected(expected.error());
  if (asking == *expected) return {};
  return fail(ErrorCode::PermissionDenied,
              "only " + peer + " and root may ask here, not user " + std::to_string(asking));
}

Result<std::string> sign(int connection, uid_t asking, const std::string& peer,
                         CommandSettings settings) {
  LARDER_TRY(check_peer(asking, peer));
  const auto text = receive_text(connection, kSigningQuestionLimit, exchange_limit());
  if (!text) return std::unexpected(text.error());
  const auto question = parse_signing_question(*text);
  if (!question) return base::with_context("the node's question", question.error());
  settings.timeout = std::min<std::chrono::milliseconds>(settings.timeout, question->timeout);
  return CommandSigner(std::move(settings), [connection] { return has_hung_up(connection); })
      .sign(question->request_pem);
}

}  // namespace

Status answer_signing_question(int connection, const std::string& peer, CommandSettings settings) {
  const auto asking = user_of_peer(connection);
  if (!asking) return std::unexpected(asking.error());
  const auto chain = sign(connection, *asking, peer, std::move(settings));
  if (!chain) {
    base::log_warning("a request was not signed", {{"reason", chain.error().message}});
  } else {
    base::log_info("a request was signed");
  }
  return send_text(connection, print_signing_answer(chain), exchange_limit());
}

}  // namespace larder::signers
