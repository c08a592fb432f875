#include "client/revocation_look.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/testing.h"
#include "crypto/testing.h"

namespace larder::client {
namespace {

using crypto::testing::kNow;

base::Result<HttpResponse> nobody(const HttpRequest&) {
  return base::fail(base::ErrorCode::Unavailable, "nobody is there");
}

// An environment variable as a test wants it, and afterwards as it was.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* const before = std::getenv(name)) before_ = before;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
  std::optional<std::string> before_;
};

TEST(RevocationLook, SystemStoreCountsWhereNoFileIsNamed) {
  const base::TemporaryFolder folder;
  const auto root = crypto::testing::make_root();
  const std::string file = folder.path() + "/roots.pem";
  ASSERT_TRUE(base::write_file_atomically(file, root.certificate.to_pem(), 0644));
  const Variable one("SSL_CERT_FILE", file);
  const Variable none("SSL_CERT_DIR", "");
  const auto found = read_trusted({});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0] == root.certificate);
  EXPECT_EQ(read_trusted({file}).size(), 1U);
  EXPECT_TRUE(read_trusted({folder.path() + "/absent"}).empty()) << "named: the system's is not";
}

TEST(RevocationLook, RootsInAFolderOfTheSystemsCountOnce) {
  const base::TemporaryFolder folder;
  const auto one = crypto::testing::make_root();
  const auto other = crypto::testing::make_root();
  const std::string roots = folder.path() + "/roots";
  ASSERT_TRUE(base::make_directories(roots, 0700));
  ASSERT_TRUE(base::write_file_atomically(roots + "/one.pem", one.certificate.to_pem(), 0644));
  ASSERT_TRUE(base::write_file_atomically(roots + "/other.pem", other.certificate.to_pem(), 0644));
  ASSERT_TRUE(base::write_file_atomically(roots + "/README", "no certificate", 0644));
  std::filesystem::create_symlink("one.pem", roots + "/0a1b2c3d.0");
  const Variable no_bundle("SSL_CERT_FILE", folder.path() + "/absent");
  const Variable folders("SSL_CERT_DIR", folder.path() + "/nowhere:" + roots);
  const auto found = read_trusted({});
  EXPECT_EQ(found.size(), 2U);
}

TEST(RevocationLook, IntermediateOfAnUnknownIssuerIsAnError) {
  const auto root = crypto::testing::make_root();
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  auto content = crypto::testing::content(true);
  content.subject.common_name = "Issuing";
  content.crl_url = "http://ca.test/root.crl";
  const crypto::testing::Pair issuing{
      key, crypto::issue(content, key.public_key(), root.certificate, root.key).value()};
  const auto [leaf_key, leaf] = crypto::testing::make_leaf(issuing);
  const std::vector<crypto::Certificate> chain{leaf, issuing.certificate};
  const RevocationLook look = look_for_revocation(chain, {}, nobody, kNow);
  EXPECT_NE(look.error.find("CN=Root"), std::string::npos) << look.error;
  EXPECT_EQ(look.subject, "CN=Issuing");
  const std::vector<crypto::Certificate> trusted{root.certificate};
  EXPECT_EQ(look_for_revocation(chain, trusted, nobody, kNow).error, "nobody is there");
}

}  // namespace
}  // namespace larder::client
