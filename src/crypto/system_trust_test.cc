#include "crypto/system_trust.h"

#include <gtest/gtest.h>
#include <openssl/x509.h>

#include <map>
#include <set>

namespace larder::crypto {
namespace {

using Paths = std::vector<std::string>;

SystemTrust on(const std::set<std::string>& there,
               const std::map<std::string, std::string>& environment = {}) {
  return find_system_trust(
      [&](const char* name) {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
      },
      [&](const std::string& path) { return there.contains(path); });
}

TEST(SystemTrust, IsTheBundleOfTheDistribution) {
  for (const char* bundle :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/pki/tls/certs/ca-bundle.crt", "/var/lib/ca-certificates/ca-bundle.pem",
        "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    const SystemTrust trust = on({bundle});
    EXPECT_EQ(trust.files, Paths{bundle});
    EXPECT_TRUE(trust.folders.empty()) << bundle;
  }
  EXPECT_EQ(on({"/etc/ssl/cert.pem", "/etc/ssl/certs/ca-certificates.crt"}).files,
            Paths{"/etc/ssl/certs/ca-certificates.crt"})
      << "one is enough";
}

TEST(SystemTrust, IsOpenSslsFolderWhereNoBundleIsKnown) {
  const SystemTrust trust = on({});
  EXPECT_TRUE(trust.files.empty());
  EXPECT_EQ(trust.folders, Paths{X509_get_default_cert_dir()});
}

TEST(SystemTrust, EnvironmentWinsAsForOpenSsl) {
  const std::set<std::string> debian{"/etc/ssl/certs/ca-certificates.crt"};
  const SystemTrust file = on(debian, {{"SSL_CERT_FILE", "/own.pem"}});
  EXPECT_EQ(file.files, Paths{"/own.pem"});
  EXPECT_TRUE(file.folders.empty());
  const SystemTrust folder = on(debian, {{"SSL_CERT_DIR", "/one::/two:"}});
  EXPECT_EQ(folder.files, Paths{"/etc/ssl/certs/ca-certificates.crt"});
  EXPECT_EQ(folder.folders, (Paths{"/one", "/two"}));
  const SystemTrust both = on(debian, {{"SSL_CERT_FILE", "/own.pem"}, {"SSL_CERT_DIR", "/one"}});
  EXPECT_EQ(both.files, Paths{"/own.pem"});
  EXPECT_EQ(both.folders, Paths{"/one"});
}

}  // namespace
}  // namespace larder::crypto
