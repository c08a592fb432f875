#include "crypto/jws.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "crypto/digest.h"

namespace larder::crypto {
namespace {

using base::ErrorCode;

// RFC 7515 appendix A.3 (ES256) and A.2 (RS256).
constexpr std::string_view kPayload =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlf"
    "Q";
const std::string kEs256 =
    "eyJhbGciOiJFUzI1NiJ9." + std::string(kPayload) +
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const std::string kRs256 =
    "eyJhbGciOiJSUzI1NiJ9." + std::string(kPayload) +
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5ju"
    "jGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"
    "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
    "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUT"
    "I8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

PublicKey rfc_ec_key() {
  return PublicKey::from_jwk(
             R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
             R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})")
      .value();
}

PublicKey rfc_rsa_key() {
  return PublicKey::from_jwk(
             R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddx)"
             R"(HmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs)"
             R"(D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSH)"
             R"(SXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV)"
             R"(MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8)"
             R"(NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})")
      .value();
}

std::string with_header(const std::string& header) {
  return base::to_base64url(base::as_bytes(header)) + ".e30.AAAA";
}

TEST(Jws, VerifiesTheVectorsOfRfc7515) {
  const auto es256 = parse_jws(kEs256, {});
  ASSERT_TRUE(es256) << es256.error().message;
  EXPECT_TRUE(verify_jws(*es256, rfc_ec_key()));
  EXPECT_EQ(es256->payload.substr(0, 12), "{\"iss\":\"joe\"");
  const auto rs256 = parse_jws(kRs256, {.allow_rs256 = true});
  ASSERT_TRUE(rs256) << rs256.error().message;
  EXPECT_TRUE(verify_jws(*rs256, rfc_rsa_key()));
}

TEST(Jws, AlgorithmsOutsideTheListAreRefused) {
  EXPECT_FALSE(parse_jws(kRs256, {}));
  EXPECT_FALSE(parse_jws(kEs256, {.allow_es256 = false, .allow_rs256 = true}));
  for (const char* algorithm : {"none", "HS256", "es256", "ES384", ""}) {
    EXPECT_FALSE(parse_jws(with_header(std::string(R"({"alg":")") + algorithm + "\"}"),
                           {.allow_rs256 = true, .allow_ps256 = true}))
        << algorithm;
  }
  EXPECT_FALSE(parse_jws(with_header("{}"), {}));
}

TEST(Jws, KeyOfAnotherKindIsRefused) {
  const auto es256 = parse_jws(kEs256, {}).value();
  EXPECT_FALSE(verify_jws(es256, rfc_rsa_key()));
  const auto rs256 = parse_jws(kRs256, {.allow_rs256 = true}).value();
  EXPECT_FALSE(verify_jws(rs256, rfc_ec_key()));
  auto as_pss = rs256;
  as_pss.algorithm = JwsAlgorithm::Ps256;
  EXPECT_FALSE(verify_jws(as_pss, rfc_rsa_key()));
}

TEST(Jws, HeadersThatTwoReadersCouldReadDifferentlyAreRefused) {
  EXPECT_TRUE(parse_jws(with_header(R"({"alg":"ES256"})"), {}));
  EXPECT_FALSE(parse_jws(with_header(R"({"alg":"ES256","alg":"ES256"})"), {}));
  EXPECT_FALSE(parse_jws(with_header(R"({"alg":"ES256","crit":["exp"]})"), {}));
  EXPECT_FALSE(parse_jws(with_header(R"({"alg":"ES256","kid":1})"), {}));
  EXPECT_FALSE(parse_jws(with_header(R"({"alg":"ES256","jwk":"x"})"), {}));
  EXPECT_FALSE(parse_jws(with_header(R"(["ES256"])"), {}));
}

TEST(Jws, TypeIsCheckedWhenAsked) {
  const auto text = with_header(R"({"alg":"ES256","typ":"application/AT+jwt"})");
  EXPECT_TRUE(parse_jws(text, {.type = "at+jwt"}));
  EXPECT_FALSE(parse_jws(text, {.type = "dpop+jwt"}));
  EXPECT_FALSE(parse_jws(with_header(R"({"alg":"ES256"})"), {.type = "at+jwt"}));
}

TEST(Jws, FormAndSizeAreBounded) {
  const std::string header = "eyJhbGciOiJFUzI1NiJ9";
  for (const std::string& text :
       {std::string(), header, header + ".e30", header + ".e30.AAAA.AAAA", header + ".e30.",
        header + ".e3 0.AAAA", header + ".e30=.AAAA", "." + header + ".e30"}) {
    EXPECT_FALSE(parse_jws(text, {})) << text;
  }
  const auto too_long = parse_jws(header + "." + std::string(20000, 'A') + ".AAAA", {});
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, ErrorCode::ResourceExhausted);
}

TEST(Jws, SignedTextVerifiesAndAnyChangeBreaksIt) {
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  const auto other = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  const auto text =
      sign_jws({.type = "at+jwt", .key_id = "k1", .embed_key = true}, R"({"a":1})", key).value();
  const auto jws = parse_jws(text, {.type = "at+jwt"}).value();
  EXPECT_EQ(jws.key_id, "k1");
  EXPECT_EQ(jws.payload, R"({"a":1})");
  EXPECT_EQ(PublicKey::from_jwk(jws.embedded_jwk).value(), key.public_key());
  EXPECT_TRUE(verify_jws(jws, key.public_key()));
  EXPECT_FALSE(verify_jws(jws, other.public_key()));
  auto changed = jws;
  changed.signing_input.back() = changed.signing_input.back() == 'A' ? 'B' : 'A';
  EXPECT_FALSE(verify_jws(changed, key.public_key()));
  changed = jws;
  changed.signature.push_back('\0');
  EXPECT_FALSE(verify_jws(changed, key.public_key()));
  changed = jws;
  changed.signature.assign(64, '\0');
  EXPECT_FALSE(verify_jws(changed, key.public_key()));
  EXPECT_FALSE(sign_jws({}, "{}", PrivateKey::generate(KeyAlgorithm::EcP384).value()));
}

TEST(Jws, VerifiesPs256MadeByOpenssl) {
  const auto key = PrivateKey::generate(KeyAlgorithm::Rsa2048).value();
  const std::string input =
      base::to_base64url(base::as_bytes(R"({"alg":"PS256"})")) + "." + std::string(kPayload);
  const DigestContextHandle context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  ASSERT_EQ(EVP_DigestSignInit(context.get(), &key_context, EVP_sha256(), nullptr, key.native()),
            1);
  ASSERT_EQ(EVP_PKEY_CTX_ctrl_str(key_context, "rsa_padding_mode", "pss"), 1);
  ASSERT_EQ(EVP_PKEY_CTX_ctrl_str(key_context, "rsa_pss_saltlen", "digest"), 1);
  std::uint8_t signature[256];
  std::size_t size = sizeof signature;
  const auto bytes = base::as_bytes(input);
  ASSERT_EQ(EVP_DigestSign(context.get(), signature, &size, bytes.data(), bytes.size()), 1);
  const auto jws = parse_jws(input + "." + base::to_base64url(std::span(signature, size)),
                             {.allow_es256 = false, .allow_ps256 = true});
  ASSERT_TRUE(jws);
  EXPECT_TRUE(verify_jws(*jws, key.public_key()));
}

TEST(Digest, KnownValues) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 parts;
  parts.update("a");
  parts.update("bc");
  EXPECT_EQ(base::to_hex(parts.finish()), sha256_hex("abc"));
  EXPECT_EQ(base::to_hex(parts.finish()), sha256_hex(""));
  // RFC 4231 test case 2.
  EXPECT_EQ(base::to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(SignJws, PutsNonceAndUrlIntoTheHeader) {
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  JwsHeader header;
  header.key_id = "https://acme.test/account/1";
  header.nonce = "abc";
  header.url = "https://acme.test/order";
  const auto text = sign_jws(header, "", key).value();
  EXPECT_EQ(base::from_base64url(text.substr(0, text.find('.'))).value(),
            R"({"alg":"ES256","kid":"https://acme.test/account/1","nonce":"abc",)"
            R"("url":"https://acme.test/order"})");
  EXPECT_TRUE(verify_jws(parse_jws(text, {}).value(), key.public_key())) << "an empty payload too";
}

// RFC 7515 appendix A.1 signs another header text; the parts are put together in the same way.
TEST(SignJws, SharedSecretsSignHeaderAndPayload) {
  const std::string text = sign_jws_hmac({.key_id = "kid-1"}, "payload", "secret");
  const std::string input = text.substr(0, text.rfind('.'));
  EXPECT_EQ(base::from_base64url(input.substr(0, input.find('.'))).value(),
            R"({"alg":"HS256","kid":"kid-1"})");
  EXPECT_EQ(text.substr(text.rfind('.') + 1), base::to_base64url(hmac_sha256("secret", input)));
  EXPECT_FALSE(parse_jws(text, {})) << "nothing here accepts them";
}

}  // namespace
}  // namespace larder::crypto
