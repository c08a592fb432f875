#include "crypto/handshake.h"

#include <gtest/gtest.h>

#include "crypto/issue.h"

namespace larder::crypto {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
constexpr auto kDay = std::chrono::hours(24);

struct Pair {
  PrivateKey key;
  Certificate certificate;
};

CertificateTemplate content(bool is_ca) {
  CertificateTemplate result;
  result.subject.common_name = is_ca ? "Root" : "a.example.org";
  if (!is_ca) result.names.dns = {"a.example.org"};
  result.not_before = kNow - kDay;
  result.not_after = kNow + 30 * kDay;
  result.is_ca = is_ca;
  result.server_auth = !is_ca;
  return result;
}

Pair make_root() {
  auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  auto certificate = issue_self_signed(content(true), key).value();
  return {std::move(key), std::move(certificate)};
}

TEST(Handshake, ClientRefusesWrongNameTimeAndTrust) {
  const auto root = make_root();
  const auto stranger = make_root();
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  const auto leaf = issue(content(false), key.public_key(), root.certificate, root.key).value();
  const auto trust = TrustStore::from_certificates(std::span(&root.certificate, 1)).value();
  const auto other = TrustStore::from_certificates(std::span(&stranger.certificate, 1)).value();
  const auto chain = std::span(&leaf, 1);
  EXPECT_TRUE(prove_handshake(chain, key, &trust, "a.example.org", kNow));
  EXPECT_TRUE(prove_handshake(chain, key, nullptr, "b.example.org", kNow));
  const auto name = prove_handshake(chain, key, &trust, "b.example.org", kNow);
  ASSERT_FALSE(name);
  EXPECT_NE(name.error().message.find("b.example.org"), std::string::npos);
  EXPECT_NE(name.error().message.find("mismatch"), std::string::npos);
  EXPECT_FALSE(prove_handshake(chain, key, &trust, "10.0.0.5", kNow));
  EXPECT_FALSE(prove_handshake(chain, key, &trust, "a.example.org", kNow + 40 * kDay));
  EXPECT_FALSE(prove_handshake(chain, key, &other, "a.example.org", kNow));
  EXPECT_FALSE(prove_handshake(chain, stranger.key, &trust, "a.example.org", kNow));
  EXPECT_FALSE(prove_handshake({}, key, &trust, "a.example.org", kNow));
}

}  // namespace
}  // namespace larder::crypto
