// Turns OpenSSL's error queue into our Error. Used only by code that calls OpenSSL.
#pragma once

#include <string_view>

#include "base/error.h"

namespace larder::crypto {

// "<what>: <OpenSSL's reason>"; empties this thread's queue. OpenSSL's reasons never hold key
// material.
std::unexpected<base::Error> fail_openssl(base::ErrorCode code, std::string_view what);

}  // namespace larder::crypto
