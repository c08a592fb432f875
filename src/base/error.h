// Result and Error: how every fallible function of Larder reports failure.
//
// An Error says what went wrong in a sentence for our own log and for the operator's terminal. It
// is never sent to a client as it is: the server's edge maps the code to a status and a public
// sentence. Secrets (tokens, keys, signed URLs) never enter a message. Absence is not an error:
// functions that may find nothing return std::optional inside the Result.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace larder::base {

enum class ErrorCode {
  InvalidArgument,     // the input can never be right: a malformed CSR
  NotFound,            // the named thing does not exist: no such package
  AlreadyExists,       // it is there already: a second node of the same name
  PermissionDenied,    // known who asks, and they may not: a blocked client
  Unauthenticated,     // not known who asks: a token with a bad signature
  FailedPrecondition,  // right input at the wrong moment: enable without a certificate
  ResourceExhausted,   // a bound was reached: the drive is full
  Unavailable,         // may work later: the site cannot be reached
  DeadlineExceeded,    // a wait ended without its event
  DataLoss,            // stored bytes are wrong: a checksum that does not match
  Internal,            // a library or the system failed in a way that we do not expect
};

// "invalid argument", "not found", ...: for logs and for machines.
std::string_view name(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::Internal;
  std::string message;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

// Appends the text of the errno value: fail_errno("cannot open /x", errno).
std::unexpected<Error> fail_errno(std::string_view what, int error_number);

// The same error with where or what in front of the message: "larder.toml: line 3: ...".
std::unexpected<Error> with_context(std::string_view context, Error error);

}  // namespace larder::base

// Returns the error of a Status or Result expression from the calling function.
#define LARDER_TRY(expression)                                       \
  do {                                                               \
    if (auto larder_try_result = (expression); !larder_try_result) { \
      return std::unexpected(std::move(larder_try_result).error());  \
    }                                                                \
  } while (false)
