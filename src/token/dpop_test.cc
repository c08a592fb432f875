#include "token/dpop.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "crypto/jws.h"

namespace larder::token {
namespace {

constexpr std::string_view kUrl = "https://site.example.org:8443/client/v1/register";
const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);
const base::SteadyTime kSteady{std::chrono::minutes(1000)};
using std::chrono::seconds;

class Dpop : public ::testing::Test {
 protected:
  std::string make(const DpopRequest& request, std::string_view nonce,
                   base::WallTime now = kNow) const {
    return make_dpop_proof(key_, request, nonce, now).value();
  }
  std::string make() const { return make(request_, verifier_.nonce(kSteady)); }

  DpopRefusal refusal(std::string_view proof, const DpopRequest& request, base::WallTime now = kNow,
                      base::SteadyTime steady = kSteady) {
    const auto verdict = verifier_.verify(proof, request, now, steady);
    EXPECT_FALSE(verdict);
    return verdict ? DpopRefusal::Busy : verdict.error();
  }
  DpopRefusal refusal(std::string_view proof) { return refusal(proof, request_); }

  std::string sign(std::string_view payload, bool embed_key = true,
                   std::string type = "dpop+jwt") const {
    return crypto::sign_jws({.type = std::move(type), .embed_key = embed_key}, payload, key_)
        .value();
  }

  DpopVerifier verifier_;
  const DpopRequest request_{.method = "POST", .url = kUrl};
  crypto::PrivateKey key_ = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
};

TEST_F(Dpop, GoodProofNamesItsKey) {
  const auto proof = verifier_.verify(make(), request_, kNow, kSteady);
  ASSERT_TRUE(proof) << name(proof.error());
  EXPECT_EQ(proof->key, key_.public_key());
  EXPECT_EQ(proof->key_thumbprint, key_.public_key().thumbprint().value());
}

TEST_F(Dpop, EachProofIsGoodOnce) {
  const std::string proof = make();
  ASSERT_TRUE(verifier_.verify(proof, request_, kNow, kSteady));
  EXPECT_EQ(refusal(proof), DpopRefusal::Replayed);
  EXPECT_EQ(refusal(proof, request_, kNow + seconds(60), kSteady + seconds(60)),
            DpopRefusal::Replayed);
  EXPECT_EQ(refusal(proof, request_, kNow + seconds(120), kSteady + seconds(120)),
            DpopRefusal::UseNonce);
}

TEST_F(Dpop, NonceOfAnotherProcessAndNoNonceAreRefused) {
  const DpopVerifier other;
  EXPECT_EQ(refusal(make(request_, "")), DpopRefusal::UseNonce);
  EXPECT_EQ(refusal(make(request_, other.nonce(kSteady))), DpopRefusal::UseNonce);
}

TEST_F(Dpop, NonceLivesThroughTheNextMinute) {
  const std::string nonce = verifier_.nonce(kSteady);
  EXPECT_EQ(nonce, verifier_.nonce(kSteady + seconds(59)));
  EXPECT_NE(nonce, verifier_.nonce(kSteady + seconds(60)));
  EXPECT_TRUE(verifier_.verify(make(request_, nonce, kNow + seconds(119)), request_,
                               kNow + seconds(119), kSteady + seconds(119)));
}

TEST_F(Dpop, MethodAndUrlMustBeThoseOfTheRequest) {
  const std::string nonce = verifier_.nonce(kSteady);
  EXPECT_EQ(refusal(make({.method = "GET", .url = kUrl}, nonce)), DpopRefusal::WrongMethod);
  for (const char* url :
       {"https://site.example.org:8443/client/v1/locate",
        "http://site.example.org:8443/client/v1/register",
        "https://site.example.org/client/v1/register", "https://evil.example/client/v1/register",
        "https://site.example.org:8443@evil.example/client/v1/register", "/client/v1/register",
        ""}) {
    EXPECT_EQ(refusal(make({.method = "POST", .url = url}, nonce)), DpopRefusal::WrongUrl) << url;
  }
}

TEST_F(Dpop, UrlSpellingsOfOneAddressAreEqual) {
  const DpopRequest request{.method = "GET", .url = "https://site.example.org/a"};
  for (const char* url : {"HTTPS://Site.Example.ORG/a", "https://site.example.org:443/a",
                          "https://site.example.org/a?query#fragment"}) {
    EXPECT_TRUE(verifier_.verify(make({.method = "GET", .url = url}, verifier_.nonce(kSteady)),
                                 request, kNow, kSteady))
        << url;
  }
  EXPECT_EQ(refusal(make({.method = "GET", .url = "https://site.example.org/A"},
                         verifier_.nonce(kSteady)),
                    request),
            DpopRefusal::WrongUrl);
}

TEST_F(Dpop, TimeIsCheckedWithLeeway) {
  const std::string nonce = verifier_.nonce(kSteady);
  EXPECT_TRUE(verifier_.verify(make(request_, nonce, kNow + seconds(60)), request_, kNow, kSteady));
  EXPECT_EQ(refusal(make(request_, nonce, kNow + seconds(61))), DpopRefusal::WrongTime);
  EXPECT_TRUE(
      verifier_.verify(make(request_, nonce, kNow - seconds(180)), request_, kNow, kSteady));
  EXPECT_EQ(refusal(make(request_, nonce, kNow - seconds(181))), DpopRefusal::WrongTime);
}

TEST_F(Dpop, AccessTokenIsBoundByItsHash) {
  const std::string nonce = verifier_.nonce(kSteady);
  const DpopRequest with_token{.method = "POST", .url = kUrl, .access_token = "token-a"};
  EXPECT_TRUE(verifier_.verify(make(with_token, nonce), with_token, kNow, kSteady));
  EXPECT_EQ(refusal(make(request_, nonce), with_token), DpopRefusal::WrongToken);
  EXPECT_EQ(refusal(make(with_token, nonce)), DpopRefusal::WrongToken);
  EXPECT_EQ(
      refusal(make({.method = "POST", .url = kUrl, .access_token = "token-b"}, nonce), with_token),
      DpopRefusal::WrongToken);
}

TEST_F(Dpop, ProofOfAnotherKeyIsRefused) {
  const std::string mine = make();
  const auto other_key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const std::string theirs =
      make_dpop_proof(other_key, request_, verifier_.nonce(kSteady), kNow).value();
  // The header, with the key, of one and the claims of the other.
  const std::string mixed = theirs.substr(0, theirs.find('.')) + mine.substr(mine.find('.'));
  EXPECT_EQ(refusal(mixed), DpopRefusal::BadSignature);
}

TEST_F(Dpop, MalformedProofsAreRefused) {
  const std::string nonce = verifier_.nonce(kSteady);
  const std::string good = R"({"jti":"a","htm":"POST","htu":")" + std::string(kUrl) +
                           R"(","iat":1800000000,"nonce":")" + nonce + "\"}";
  EXPECT_EQ(refusal(sign(good, false)), DpopRefusal::Malformed) << "no key";
  EXPECT_EQ(refusal(sign(good, true, "JWT")), DpopRefusal::Malformed);
  EXPECT_EQ(refusal(sign("{}")), DpopRefusal::Malformed);
  EXPECT_EQ(refusal(sign("1")), DpopRefusal::Malformed);
  EXPECT_EQ(refusal(""), DpopRefusal::Malformed);
  EXPECT_EQ(refusal(sign(R"({"jti":")" + std::string(129, 'a') + "\"" + good.substr(10))),
            DpopRefusal::Malformed);
  EXPECT_EQ(refusal(sign(R"({"jti":"b",)" + good.substr(1))), DpopRefusal::Malformed) << "two jti";
  EXPECT_TRUE(verifier_.verify(sign(good), request_, kNow, kSteady));
}

TEST_F(Dpop, FullMemoryRefusesInsteadOfForgetting) {
  DpopVerifier small(2);
  const auto use = [&](base::SteadyTime steady) {
    return small.verify(make(request_, small.nonce(steady)), request_, kNow, steady);
  };
  EXPECT_TRUE(use(kSteady));
  EXPECT_TRUE(use(kSteady));
  EXPECT_EQ(use(kSteady).error(), DpopRefusal::Busy);
  EXPECT_EQ(use(kSteady + seconds(60)).error(), DpopRefusal::Busy);
  EXPECT_TRUE(use(kSteady + seconds(120)));
}

}  // namespace
}  // namespace larder::token
