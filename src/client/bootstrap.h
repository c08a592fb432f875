// Tokens that bootstrap trust in a site: for a node that joins and for a device that registers
// (docs/protocol.md, "Tokens that bootstrap trust").
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "client/exchange.h"

namespace larder::client {

inline constexpr std::string_view kJoinPrefix = "larder-join.";
inline constexpr std::string_view kRegisterPrefix = "larder-register.";

struct BootstrapToken {
  std::string url;          // https, without a slash at the end
  std::string root_sha256;  // of the root certificate's DER, 64 lower-case hexadecimal digits
  std::string secret;       // base64url of 32 bytes; never logged
};

// Reads a token of that prefix; white space around it is ignored. The error never quotes the token.
base::Result<BootstrapToken> parse_bootstrap_token(std::string_view text, std::string_view prefix);
std::string format_bootstrap_token(const BootstrapToken& token, std::string_view prefix);

// Fetches the site's root certificate without trust and compares it with the token's digest before
// anything else is believed. The PEM of exactly that certificate; Unauthenticated when it differs.
base::Result<std::string> fetch_pinned_root(const HttpExchange& exchange,
                                            const BootstrapToken& token);

}  // namespace larder::client
