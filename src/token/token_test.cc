#include "token/token.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/encoding.h"
#include "crypto/jws.h"
#include "token/jwk_set.h"

namespace larder::token {
namespace {

constexpr std::string_view kIssuer = "https://site.example.org:8443";
const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

class Token : public ::testing::Test {
 protected:
  Token()
      : signer_(
            TokenSigner::create(crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value())
                .value()),
        keys_{make_set_key(signer_.public_key(), "sig").value()} {
    certificate_.fill(7);
  }

  FindKey finder() const {
    return [this](std::string_view id) { return find_key(keys_, id); };
  }

  ClientClaims client_claims() const {
    return {.issuer = std::string(kIssuer),
            .client_id = "c1",
            .token_id = "t1",
            .key_thumbprint = "thumb",
            .issued_at = kNow,
            .expires_at = kNow + kClientTokenLifetime};
  }

  ContentClaims content_claims() const {
    return {.issuer = std::string(kIssuer),
            .client_id = "c1",
            .token_id = "t2",
            .certificate_sha256 = certificate_,
            .issued_at = kNow,
            .expires_at = kNow + kContentTokenLifetime};
  }

  Reading<ClientClaims> verify_client(std::string_view text, base::WallTime now = kNow) const {
    return verify_client_token(text, finder(), kIssuer, "thumb", now);
  }
  Reading<ContentClaims> verify_content(std::string_view text, base::WallTime now = kNow) const {
    return verify_content_token(text, finder(), kIssuer, certificate_, now);
  }

  // A token of our key with any payload.
  std::string forge(std::string_view type, std::string_view payload) const {
    return crypto::sign_jws({.type = std::string(type), .key_id = keys_[0].id}, payload, key_)
        .value();
  }
  void use_known_key() {
    key_ = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
    keys_ = {make_set_key(key_.public_key(), "sig").value()};
  }

  TokenSigner signer_;
  std::vector<SetKey> keys_;
  crypto::Sha256Digest certificate_{};
  crypto::PrivateKey key_ = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
};

TEST_F(Token, ClientTokenSurvivesTheRoundTrip) {
  const auto text = signer_.sign(client_claims()).value();
  const auto claims = verify_client(text);
  ASSERT_TRUE(claims) << name(claims.error());
  EXPECT_EQ(claims->client_id, "c1");
  EXPECT_EQ(claims->token_id, "t1");
  EXPECT_EQ(claims->expires_at, kNow + kClientTokenLifetime);
}

TEST_F(Token, ContentTokenSurvivesTheRoundTrip) {
  const auto text = signer_.sign(content_claims()).value();
  std::string key_id;
  const auto claims = read_content_token(text, finder(), &key_id);
  ASSERT_TRUE(claims) << name(claims.error());
  EXPECT_EQ(claims->certificate_sha256, certificate_);
  EXPECT_EQ(key_id, signer_.key_id());
  EXPECT_TRUE(verify_content(text));
}

TEST_F(Token, OneKindIsNeverTakenForTheOther) {
  EXPECT_EQ(verify_content(signer_.sign(client_claims()).value()).error(), Refusal::Malformed);
  EXPECT_EQ(verify_client(signer_.sign(content_claims()).value()).error(), Refusal::Malformed);
}

TEST_F(Token, DatesHaveALeewayOfAMinute) {
  const auto text = signer_.sign(content_claims()).value();
  const auto end = kNow + kContentTokenLifetime;
  using std::chrono::seconds;
  EXPECT_TRUE(verify_content(text, kNow - seconds(60)));
  EXPECT_EQ(verify_content(text, kNow - seconds(61)).error(), Refusal::NotYetValid);
  EXPECT_TRUE(verify_content(text, end + seconds(59)));
  EXPECT_EQ(verify_content(text, end + seconds(60)).error(), Refusal::Expired);
}

TEST_F(Token, BindingIssuerAndLifetimeAreChecked) {
  const auto text = signer_.sign(content_claims()).value();
  auto other = certificate_;
  other[0] ^= 1;
  EXPECT_EQ(verify_content_token(text, finder(), kIssuer, other, kNow).error(),
            Refusal::WrongCertificate);
  EXPECT_EQ(
      verify_content_token(text, finder(), "https://evil.example", certificate_, kNow).error(),
      Refusal::WrongIssuer);
  const auto client = signer_.sign(client_claims()).value();
  EXPECT_EQ(verify_client_token(client, finder(), kIssuer, "another", kNow).error(),
            Refusal::WrongKey);
  auto greedy = content_claims();
  greedy.expires_at += std::chrono::seconds(1);
  EXPECT_EQ(verify_content(signer_.sign(greedy).value()).error(), Refusal::TooLongLived);
}

TEST_F(Token, ForeignKeysAndChangesAreRefused) {
  const auto text = signer_.sign(content_claims()).value();
  const FindKey none = [](std::string_view) -> const crypto::PublicKey* { return nullptr; };
  EXPECT_EQ(read_content_token(text, none).error(), Refusal::UnknownKey);
  const auto other = key_.public_key();
  const FindKey wrong = [&](std::string_view) { return &other; };
  EXPECT_EQ(read_content_token(text, wrong).error(), Refusal::BadSignature);
  for (std::size_t at = 0; at < text.size(); at += 7) {
    std::string changed = text;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    if (changed == text) continue;
    EXPECT_FALSE(read_content_token(changed, finder())) << at;
  }
  EXPECT_EQ(read_content_token("", finder()).error(), Refusal::Malformed);
  EXPECT_EQ(read_content_token(text + std::string(5000, 'A'), finder()).error(),
            Refusal::Malformed);
}

TEST_F(Token, WrongClaimsAreRefusedThoughSigned) {
  use_known_key();
  const std::string hash = base::to_base64url(certificate_);
  const auto payload = [&](std::string_view aud, std::string_view exp, std::string_view cnf,
                           std::string_view client_id = "c1") {
    return R"({"iss":"https://site.example.org:8443","sub":"c1","client_id":")" +
           std::string(client_id) + R"(","aud":)" + std::string(aud) +
           R"(,"scope":"content","iat":1800000000,"exp":)" + std::string(exp) +
           R"(,"jti":"t","cnf":)" + std::string(cnf) + "}";
  };
  const std::string cnf = R"({"x5t#S256":")" + hash + "\"}";
  ASSERT_TRUE(verify_content(forge("at+jwt", payload("\"content\"", "1800000100", cnf))));
  struct Case {
    std::string payload;
    Refusal refusal;
  };
  const std::vector<Case> cases{
      {payload("\"management-point\"", "1800000100", cnf), Refusal::WrongAudience},
      {payload("[\"content\"]", "1800000100", cnf), Refusal::Malformed},
      {payload("\"content\"", "\"1800000100\"", cnf), Refusal::Malformed},
      {payload("\"content\"", "1800000100.5", cnf), Refusal::Malformed},
      {payload("\"content\"", "99999999999999", cnf), Refusal::Malformed},
      {payload("\"content\"", "-1", cnf), Refusal::Malformed},
      {payload("\"content\"", "1800000000", cnf), Refusal::Malformed},
      {payload("\"content\"", "1800000100", "{}"), Refusal::Malformed},
      {payload("\"content\"", "1800000100", R"({"x5t#S256":"AAAA"})"), Refusal::Malformed},
      {payload("\"content\"", "1800000100", cnf, "c2"), Refusal::Malformed},
      {payload("\"content\"", "1800000100,\"exp\":1800000200", cnf), Refusal::Malformed},
      {"[]", Refusal::Malformed},
      {"", Refusal::Malformed},
  };
  for (const Case& wrong : cases) {
    const auto verdict = verify_content(forge("at+jwt", wrong.payload));
    ASSERT_FALSE(verdict) << wrong.payload;
    EXPECT_EQ(verdict.error(), wrong.refusal) << wrong.payload;
  }
}

TEST_F(Token, SignerNeedsP256) {
  EXPECT_FALSE(
      TokenSigner::create(crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP384).value()));
}

TEST(JwkSet, SurvivesTheRoundTrip) {
  const auto a = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value().public_key();
  const auto b = crypto::PrivateKey::generate(crypto::KeyAlgorithm::Rsa2048).value().public_key();
  const std::vector<SetKey> keys{make_set_key(a, "sig").value(), make_set_key(b, "").value()};
  const auto parsed = parse_jwk_set(print_jwk_set(keys)).value();
  ASSERT_EQ(parsed.size(), 2U);
  EXPECT_EQ(parsed[0].id, keys[0].id);
  EXPECT_EQ(parsed[0].use, "sig");
  EXPECT_EQ(*find_key(parsed, keys[1].id), b);
  EXPECT_EQ(find_key(parsed, "nobody"), nullptr);
}

TEST(JwkSet, LeavesOutForeignKindsAndRefusesDoubtfulSets) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value().public_key();
  const auto jwk = print_jwk(make_set_key(key, "sig").value());
  EXPECT_EQ(parse_jwk_set(R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"},)" + jwk + "]}")
                .value()
                .size(),
            1U);
  EXPECT_FALSE(parse_jwk_set(R"({"keys":[)" + jwk + "," + jwk + "]}"));
  EXPECT_FALSE(parse_jwk_set(R"({"keys":[)" + jwk + "]}", 0));
  EXPECT_FALSE(parse_jwk_set("{}"));
  EXPECT_FALSE(parse_jwk_set("[]"));
  EXPECT_FALSE(parse_jwk_set(R"({"keys":[1]})"));
}

}  // namespace
}  // namespace larder::token
