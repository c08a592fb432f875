#include "crypto/system_trust.h"

#include <openssl/x509.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

namespace larder::crypto {

namespace {

constexpr const char* kBundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                 // Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  // Red Hat, Fedora, and what follows them
    "/etc/pki/tls/certs/ca-bundle.crt",                   // older ones of these
    "/var/lib/ca-certificates/ca-bundle.pem",             // SUSE
    "/etc/ssl/ca-bundle.pem",                             // SUSE, the name for programs
    "/etc/ssl/cert.pem",                                  // Alpine, where the first is left out
};

}  // namespace

SystemTrust find_system_trust(const std::function<const char*(const char*)>& variable,
                              const std::function<bool(const std::string&)>& exists) {
  SystemTrust trust;
  if (const char* const folders = variable(X509_get_default_cert_dir_env())) {
    std::string_view rest = folders;
    while (!rest.empty()) {
      const std::string_view folder = rest.substr(0, rest.find(':'));
      if (!folder.empty()) trust.folders.emplace_back(folder);
      rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    }
  }
  if (const char* const file = variable(X509_get_default_cert_file_env())) {
    trust.files.emplace_back(file);
    return trust;
  }
  const auto* const found = std::ranges::find_if(kBundles, exists);
  if (found != std::end(kBundles)) {
    trust.files.emplace_back(*found);
  } else if (trust.folders.empty()) {
    trust.folders.emplace_back(X509_get_default_cert_dir());
  }
  return trust;
}

SystemTrust system_trust() {
  return find_system_trust(
      [](const char* name) { return std::getenv(name); },
      [](const std::string& path) { return ::access(path.c_str(), R_OK) == 0; });
}

}  // namespace larder::crypto
