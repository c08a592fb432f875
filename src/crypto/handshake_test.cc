#include "crypto/handshake.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace larder::crypto {
namespace {

using testing::kDay;
using testing::kNow;
using testing::make_leaf;
using testing::make_root;

TEST(Handshake, ClientRefusesWrongNameTimeAndTrust) {
  const auto root = make_root();
  const auto stranger = make_root();
  const auto [key, leaf] = make_leaf(root);
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
