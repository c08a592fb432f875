#include "node/content_access.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace larder::node {
namespace {

using Reason = ContentAccess::Reason;

class ContentAccessTest : public testing::Test {
 protected:
  void SetUp() override {
    view_.issuer = "https://site.test";
    trust(signer_);
  }

  void trust(const token::TokenSigner& signer) {
    view_.token_keys.push_back({.id = signer.key_id(), .key = signer.public_key()});
  }
  static token::TokenSigner make_signer() {
    return token::TokenSigner::create(
               crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value())
        .value();
  }
  std::string make_token(const std::string& client, const token::TokenSigner& signer) const {
    token::ContentClaims claims;
    claims.issuer = "https://site.test";
    claims.client_id = client;
    claims.token_id = "id-" + client;
    claims.certificate_sha256 = certificate_;
    claims.issued_at = now_;
    claims.expires_at = now_ + token::kContentTokenLifetime;
    return signer.sign(claims).value();
  }
  std::string certificate() const { return std::string(base::as_text(certificate_)); }
  ContentAccess decide(std::string_view token, base::WallTime now) {
    return authorizer_.authorize(&view_, token, certificate(), now);
  }

  const base::WallTime now_ = base::from_unix_seconds(1'795'300'000);
  const crypto::Sha256Digest certificate_ = crypto::sha256(std::string_view("certificate"));
  const token::TokenSigner signer_ = make_signer();
  SiteView view_;
  ContentAuthorizer authorizer_{4};
};

TEST_F(ContentAccessTest, AllowsTheHolderOfATokenAndItsCertificate) {
  const auto token = make_token("client-1", signer_);
  for (int i = 0; i < 2; ++i) {
    const auto access = decide(token, now_);
    EXPECT_TRUE(access.allowed()) << access.name();
    EXPECT_EQ(access.client_id, "client-1");
    EXPECT_EQ(access.status(), 200);
  }
  EXPECT_EQ(authorizer_.remembered(), 1U);
  EXPECT_TRUE(authorize_content(view_, token, certificate(), now_).allowed());
}

TEST_F(ContentAccessTest, RefusesWhatIsMissing) {
  const auto token = make_token("client-1", signer_);
  EXPECT_EQ(authorizer_.authorize(nullptr, token, certificate(), now_).reason, Reason::NoView);
  EXPECT_EQ(authorizer_.authorize(nullptr, token, certificate(), now_).status(), 503);
  const auto anonymous = decide("", now_);
  EXPECT_EQ(anonymous.reason, Reason::NoToken);
  EXPECT_EQ(anonymous.oauth_error(), "");
  EXPECT_EQ(anonymous.status(), 401);
  EXPECT_EQ(decide(std::string(20'000, 'a'), now_).reason, Reason::NoToken);
  const auto bare = authorizer_.authorize(&view_, token, "", now_);
  EXPECT_EQ(bare.reason, Reason::NoCertificate);
  EXPECT_EQ(bare.oauth_error(), "invalid_token");
  EXPECT_EQ(decide(token, base::from_unix_seconds(1000)).reason, Reason::WrongClock);
}

TEST_F(ContentAccessTest, RefusesForgedForeignAndUnboundTokens) {
  const auto token = make_token("client-1", signer_);
  EXPECT_EQ(decide("nonsense", now_).refusal, token::Refusal::Malformed);
  EXPECT_EQ(decide(make_token("client-1", make_signer()), now_).refusal,
            token::Refusal::UnknownKey);
  const auto other = crypto::sha256(std::string_view("another certificate"));
  const auto stolen = authorizer_.authorize(&view_, token, base::as_text(other), now_);
  EXPECT_EQ(stolen.reason, Reason::BadToken);
  EXPECT_EQ(stolen.refusal, token::Refusal::WrongCertificate);
  view_.issuer = "https://other.test";
  EXPECT_EQ(decide(token, now_).refusal, token::Refusal::WrongIssuer);
}

TEST_F(ContentAccessTest, ChecksARememberedTokenAgainWhereThingsChange) {
  const auto token = make_token("client-1", signer_);
  ASSERT_TRUE(decide(token, now_).allowed());
  EXPECT_EQ(decide(token, now_ + std::chrono::hours(9)).refusal, token::Refusal::Expired);
  view_.denied_clients.insert("client-1");
  const auto blocked = decide(token, now_);
  EXPECT_EQ(blocked.reason, Reason::Denied);
  EXPECT_EQ(blocked.client_id, "client-1");
  view_.denied_clients.clear();
  EXPECT_TRUE(decide(token, now_).allowed());
  view_.token_keys.clear();
  EXPECT_EQ(decide(token, now_).refusal, token::Refusal::UnknownKey);
}

TEST_F(ContentAccessTest, RemembersABoundedNumberOfTokens) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(decide(make_token("client-" + std::to_string(i), signer_), now_).allowed());
  }
  EXPECT_EQ(authorizer_.remembered(), 4U);
  EXPECT_FALSE(decide("nonsense", now_).allowed());
  EXPECT_EQ(authorizer_.remembered(), 4U);
}

}  // namespace
}  // namespace larder::node
