#include "node/setting_files.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"
#include "crypto/certificate.h"
#include "crypto/issue.h"

namespace larder::node {
namespace {

class SettingFiles : public ::testing::Test {
 protected:
  SettingFiles() {
    settings_.state_dir = folder_.path();
    settings_.connection_names = {"node1.example.org"};
  }

  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = folder_.path() + "/" + name;
    EXPECT_TRUE(base::write_file_atomically(path, text, mode));
    return path;
  }
  // Empty when all is well.
  std::string mistake() const {
    const base::Status status = check_setting_files(settings_);
    return status ? std::string() : status.error().message;
  }
  SignerSettings& add_signer() {
    SignerSettings& signer = settings_.signers.emplace_back();
    signer.certificate = "delivery";
    signer.command = {"/bin/sh"};
    return signer;
  }

  const base::TemporaryFolder folder_;
  NodeSettings settings_;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(SettingFiles, SecretOfTheWebhookIsNobodyElses) {
  settings_.alert_webhook_secret = write("secret", "between us\n", 0644);
  EXPECT_TRUE(has(mistake(), "alert_webhook_secret")) << mistake();
  EXPECT_TRUE(has(mistake(), "chmod 0600")) << mistake();
  settings_.alert_webhook_secret = write("secret", "between us\n");
  EXPECT_EQ(mistake(), "");
  settings_.alert_webhook_secret = write("secret", "\n");
  EXPECT_TRUE(has(mistake(), "is empty")) << mistake();
}

TEST_F(SettingFiles, ClientTrustHoldsCertificates) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  crypto::CertificateTemplate about;
  about.subject.common_name = "Root";
  about.not_after = base::from_unix_seconds(4'000'000'000);
  const std::string root = crypto::issue_self_signed(about, key).value().to_pem();
  settings_.client_trust = {write("root.pem", "# the root\n" + root)};
  EXPECT_EQ(mistake(), "");
  for (const std::string& text :
       {std::string(), std::string("\x30\x82\x01\x0a", 4), key.to_pem().value()}) {
    settings_.client_trust = {write("root.pem", text)};
    EXPECT_TRUE(has(mistake(), "[node] client_trust: ")) << mistake();
    EXPECT_TRUE(has(mistake(), "openssl x509 -inform der")) << mistake();
  }
  settings_.client_trust = {write("root.pem", root + key.to_pem().value())};
  EXPECT_TRUE(has(mistake(), "private key")) << mistake();
  settings_.client_trust = {folder_.path() + "/absent"};
  EXPECT_TRUE(has(mistake(), "[node] client_trust")) << mistake();
}

TEST_F(SettingFiles, OtherTrustIsReadByOthersAndNeedsACertificate) {
  settings_.origin_ca_file = write(
      "bundle", "-----BEGIN TRUSTED CERTIFICATE-----\nAA==\n-----END TRUSTED CERTIFICATE-----");
  EXPECT_EQ(mistake(), "");
  settings_.alert_webhook_trust = write("empty", "");
  EXPECT_TRUE(has(mistake(), "[node] alert_webhook_trust: ")) << mistake();
}

TEST_F(SettingFiles, CommandOfASignerCanBeRun) {
  SignerSettings& signer = add_signer();
  EXPECT_EQ(mistake(), "");
  signer.command = {folder_.path() + "/absent"};
  EXPECT_TRUE(has(mistake(), "[[node.signer]] command: ")) << mistake();
  EXPECT_TRUE(has(mistake(), "No such file")) << mistake();
  signer.command = {write("sign", "#!/bin/sh\n")};
  EXPECT_TRUE(has(mistake(), "is not executable; chmod 0755 it")) << mistake();
  signer.command = {write("sign", "#!/bin/sh\n", 0700)};
  EXPECT_EQ(mistake(), "");
  signer.command = {folder_.path()};
  EXPECT_TRUE(has(mistake(), "is no program")) << mistake();
}

TEST_F(SettingFiles, UserOfASignerExists) {
  SignerSettings& signer = add_signer();
  signer.user = "root";
  EXPECT_EQ(mistake(), "");
  signer.user = "nobody-of-that-name";
  EXPECT_TRUE(has(mistake(), "there is no user named nobody-of-that-name")) << mistake();
}

TEST_F(SettingFiles, SignerHasNamesOrARequest) {
  add_signer();
  settings_.connection_names.clear();
  EXPECT_TRUE(has(mistake(), "set connection_names")) << mistake();
  EXPECT_TRUE(has(mistake(), "larder cert request --name delivery")) << mistake();
  ASSERT_TRUE(base::make_directories(folder_.path() + "/certificates/delivery", 0700));
  write("certificates/delivery/request.csr", "a request");
  EXPECT_EQ(mistake(), "");
}

}  // namespace
}  // namespace larder::node
