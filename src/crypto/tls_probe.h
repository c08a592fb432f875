// What a TLS server shows to a client that looks and trusts nothing: for diagnosis only, no data is
// ever sent over such a connection.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"

namespace larder::crypto {

struct TlsShown {
  std::string version;             // "TLSv1.3"
  std::string cipher;              // "TLS_AES_128_GCM_SHA256"
  std::string alpn;                // protocol that was chosen; empty: none
  std::vector<Certificate> chain;  // as sent, leaf first
  std::string staple;              // DER of the OCSP answer that came with it; empty: none
};

// Makes a handshake on a connected socket, which is non-blocking afterwards, as a client that
// connects by `name` (sent as server name unless it is an address) and offers http/1.1 and
// asks for a stapled OCSP answer. Blocks
// until the deadline. Unavailable with the server's alert or OpenSSL's reason; DeadlineExceeded.
base::Result<TlsShown> probe_tls(int fd, const std::string& name, base::SteadyTime deadline);

}  // namespace larder::crypto
