#include "signers/socket_signer.h"

#include <algorithm>

#include "signers/local_peer.h"
#include "signers/signing_messages.h"

namespace larder::signers {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;
using std::chrono::seconds;

namespace {

// The program ends this much before the attempt does, so that its end can be told.
constexpr seconds kMargin{2};

Status check_listener(int connection, const SocketSettings& settings) {
  const auto listener = user_of_peer(connection);
  if (!listener) return base::with_context(settings.path, listener.error());
  if (*listener == 0) return {};
  if (settings.user.empty()) {
    return fail(ErrorCode::PermissionDenied,
                "behind " + settings.path + " listens user " + std::to_string(*listener) +
                    " and not root; name it in `user` if it is meant to be");
  }
  const auto expected = user_named(settings.user);
  if (!expected) return std::unexpected(expected.error());
  if (*listener != *expected) {
    return fail(ErrorCode::PermissionDenied, "behind " + settings.path + " listens user " +
                                                 std::to_string(*listener) + ", neither root nor " +
                                                 settings.user);
  }
  return {};
}

}  // namespace

Result<std::string> SocketSigner::sign(std::string_view request_pem) {
  const WaitLimit wait{.deadline = std::chrono::steady_clock::now() + settings_.timeout,
                       .ending = ending_};
  const auto connection = connect_to_socket(settings_.path);
  if (!connection) {
    return fail(connection.error().code,
                connection.error().message + "; is larder-signer.socket started?");
  }
  LARDER_TRY(check_listener(connection->get(), settings_));
  const SigningQuestion question{
      .request_pem = std::string(request_pem),
      .timeout = std::max(std::chrono::floor<seconds>(settings_.timeout) - kMargin, seconds(1))};
  // One that answers before it has heard all, as who may not ask is answered, is heard.
  const Status sent = send_text(connection->get(), print(question), wait);
  const auto answer = receive_text(connection->get(), kSigningAnswerLimit, wait);
  if (!answer) {
    return base::with_context(settings_.path, sent ? answer.error() : sent.error());
  }
  if (answer->empty()) {
    return fail(ErrorCode::Unavailable,
                settings_.path +
                    " ended the connection without an answer; the journal of "
                    "larder-signer@ says why");
  }
  auto chain = parse_signing_answer(*answer);
  return chain;
}

}  // namespace larder::signers
