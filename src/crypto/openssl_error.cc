#include "crypto/openssl_error.h"

#include <openssl/err.h>

#include <string>

namespace larder::crypto {

std::unexpected<base::Error> fail_openssl(base::ErrorCode code, std::string_view what) {
  const unsigned long error = ERR_peek_last_error();
  std::string message(what);
  if (const char* reason = error != 0 ? ERR_reason_error_string(error) : nullptr) {
    message += ": ";
    message += reason;
  }
  ERR_clear_error();
  return base::fail(code, std::move(message));
}

}  // namespace larder::crypto
