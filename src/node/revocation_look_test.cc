#include "node/revocation_look.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"
#include "base/testing.h"
#include "crypto/testing.h"

namespace larder::node {
namespace {

using crypto::testing::kNow;

base::Result<client::HttpResponse> nobody(const client::HttpRequest&) {
  return base::fail(base::ErrorCode::Unavailable, "nobody is there");
}

TEST(RevocationLook, SystemStoreCountsWhereNoFileIsNamed) {
  const base::TemporaryFolder folder;
  const auto root = crypto::testing::make_root();
  const std::string file = folder.path() + "/roots.pem";
  ASSERT_TRUE(base::write_file_atomically(file, root.certificate.to_pem(), 0644));
  ASSERT_EQ(::setenv("SSL_CERT_FILE", file.c_str(), 1), 0);
  const auto found = read_trusted({});
  ::unsetenv("SSL_CERT_FILE");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0] == root.certificate);
  EXPECT_EQ(read_trusted({file}).size(), 1U);
  EXPECT_TRUE(read_trusted({folder.path() + "/absent"}).empty()) << "named: the system's is not";
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
}  // namespace larder::node
