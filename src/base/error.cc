#include "base/error.h"

#include <system_error>

namespace larder::base {

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument:
      return "invalid argument";
    case ErrorCode::NotFound:
      return "not found";
    case ErrorCode::AlreadyExists:
      return "already exists";
    case ErrorCode::PermissionDenied:
      return "permission denied";
    case ErrorCode::Unauthenticated:
      return "unauthenticated";
    case ErrorCode::FailedPrecondition:
      return "failed precondition";
    case ErrorCode::ResourceExhausted:
      return "resource exhausted";
    case ErrorCode::Unavailable:
      return "unavailable";
    case ErrorCode::DeadlineExceeded:
      return "deadline exceeded";
    case ErrorCode::DataLoss:
      return "data loss";
    case ErrorCode::Internal:
      return "internal";
  }
  return "internal";
}

namespace {

ErrorCode code_of(int error_number) {
  switch (error_number) {
    case ENOENT:
      return ErrorCode::NotFound;
    case EEXIST:
      return ErrorCode::AlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::PermissionDenied;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::ResourceExhausted;
    case ETIMEDOUT:
      return ErrorCode::DeadlineExceeded;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRINUSE:
    case EAGAIN:
    // A shortage of the process or the machine, which passes.
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorCode::Unavailable;
    default:
      return ErrorCode::Internal;
  }
}

}  // namespace

std::unexpected<Error> fail_errno(std::string_view what, int error_number) {
  return fail(code_of(error_number),
              std::string(what) + ": " + std::generic_category().message(error_number));
}

std::unexpected<Error> with_context(std::string_view context, Error error) {
  error.message = std::string(context) + ": " + error.message;
  return std::unexpected(std::move(error));
}

}  // namespace larder::base
