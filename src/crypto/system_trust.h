// Where a machine keeps the certificates of the CAs that all its programs trust.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace larder::crypto {

struct SystemTrust {
  std::vector<std::string> files;    // PEM, many certificates each
  std::vector<std::string> folders;  // of PEM files with one certificate each
};

// SSL_CERT_FILE and SSL_CERT_DIR (several, with ':' between) count as they do for OpenSSL. Without
// the first, it is the bundle of the first distribution whose place is there; OpenSSL's own folder
// where there is none.
SystemTrust system_trust();

// The same for any machine: `variable` is an environment variable or null, `exists` says whether
// there is a file or folder. Pure.
SystemTrust find_system_trust(const std::function<const char*(const char*)>& variable,
                              const std::function<bool(const std::string&)>& exists);

}  // namespace larder::crypto
