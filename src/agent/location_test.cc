#include "agent/location.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/json.h"
#include "content/piece_digests.h"

namespace larder::agent {
namespace {

using base::ErrorCode;
using base::Json;

const base::WallTime kNow = base::from_unix_seconds(1'795'300'000);

crypto::PrivateKey make_key() {
  return crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
}

Json jwk_of(const crypto::PrivateKey& key) {
  return base::parse_json(key.public_key().to_jwk().value()).value();
}

class LocationTest : public testing::Test {
 protected:
  LocationTest() {
    content::Manifest manifest;
    manifest.package = "tool";
    manifest.version = "2";
    manifest.created_at = kNow;
    content::PieceDigests digests;
    digests.update(base::as_bytes("bytes"));
    manifest.files = {digests.finish("tool.deb")};
    const auto text = content::sign_manifest(manifest, key_).value();
    answer_ = {
        {"package", "tool"},
        {"version", "2"},
        {"manifest", text},
        {"manifest_sha256", content::manifest_sha256(text)},
        {"manifest_key", jwk_of(key_)},
        {"expires_at", base::to_rfc3339(kNow + std::chrono::minutes(5))},
        {"nodes",
         Json::array({{{"name", "node1"}, {"url", "https://node1.test:8445/"}, {"trust", "PEM"}}})},
        {"fallback", Json::array({{{"url", "https://site.test"}, {"trust", "PEM"}}})}};
  }
  base::Result<Location> parse(std::string_view package, std::string_view version) const {
    return parse_location(answer_.dump(), package, version, kNow);
  }

  const crypto::PrivateKey key_ = make_key();
  Json answer_;
};

TEST_F(LocationTest, ListsTheNodesAndThenTheSite) {
  const auto location = parse("tool", "");
  ASSERT_TRUE(location) << location.error().message;
  ASSERT_EQ(location->sources.size(), 2U);
  EXPECT_EQ(location->sources[0].name, "node1");
  EXPECT_EQ(location->sources[0].url, "https://node1.test:8445");
  EXPECT_FALSE(location->sources[0].is_site);
  EXPECT_EQ(location->sources[1].name, "site");
  EXPECT_TRUE(location->sources[1].is_site);
  EXPECT_EQ(location->manifest.files[0].name, "tool.deb");
  EXPECT_TRUE(parse("tool", "2"));
}

TEST_F(LocationTest, IsRefusedWhenItIsForAnotherPackageOrOutOfDate) {
  EXPECT_FALSE(parse("other", ""));
  EXPECT_FALSE(parse("tool", "3"));
  answer_["expires_at"] = base::to_rfc3339(kNow);
  EXPECT_EQ(parse("tool", "").error().code, ErrorCode::Unauthenticated);
}

TEST_F(LocationTest, IsRefusedWhenTheManifestIsNotProven) {
  auto& answer = answer_;
  const auto good = answer;
  answer["manifest_sha256"] = std::string(64, '0');
  EXPECT_EQ(parse("tool", "").error().code, ErrorCode::Unauthenticated);
  answer = good;
  answer["manifest_key"] = jwk_of(make_key());
  EXPECT_EQ(parse("tool", "").error().code, ErrorCode::Unauthenticated);
}

TEST_F(LocationTest, NeverSendsTheTokenWithoutTls) {
  answer_["nodes"][0]["url"] = "http://node1.test:8445";
  EXPECT_FALSE(parse("tool", ""));
}

TEST_F(LocationTest, NeedsItsMembers) {
  const auto good = answer_;
  for (const auto* name :
       {"manifest", "manifest_sha256", "manifest_key", "expires_at", "nodes", "fallback"}) {
    answer_ = good;
    answer_.erase(name);
    EXPECT_FALSE(parse("tool", "")) << name;
    answer_[name] = 7;
    EXPECT_FALSE(parse("tool", "")) << name;
  }
  EXPECT_FALSE(parse_location("[]", "tool", "", kNow));
}

}  // namespace
}  // namespace larder::agent
