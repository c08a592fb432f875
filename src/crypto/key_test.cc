#include "crypto/key.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/testing.h"

namespace larder::crypto {
namespace {

using base::ErrorCode;

class KeyFile : public base::FolderTest {
 protected:
  const std::string path_ = path("key.pem");
};

TEST(PrivateKey, EveryAlgorithmMakesAPairThatSurvivesPem) {
  for (const auto algorithm : {KeyAlgorithm::Rsa2048, KeyAlgorithm::EcP256, KeyAlgorithm::EcP384,
                               KeyAlgorithm::Ed25519, KeyAlgorithm::Ed448}) {
    const auto key = PrivateKey::generate(algorithm).value();
    EXPECT_EQ(key.public_key().description(), name(algorithm));
    const auto again = PrivateKey::from_pem(key.to_pem().value()).value();
    EXPECT_EQ(again.public_key(), key.public_key());
    const auto spki = key.public_key().to_spki_der().value();
    const auto parsed =
        PublicKey::from_spki_der({reinterpret_cast<const std::uint8_t*>(spki.data()), spki.size()});
    EXPECT_EQ(parsed.value(), key.public_key());
  }
}

TEST(PrivateKey, RefusesWhatIsNoPlainKey) {
  EXPECT_FALSE(PrivateKey::from_pem(""));
  EXPECT_FALSE(PrivateKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n"));
  const auto encrypted = PrivateKey::from_pem(
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHs\n-----END ENCRYPTED PRIVATE KEY-----\n");
  ASSERT_FALSE(encrypted);
  EXPECT_NE(encrypted.error().message.find("encrypted"), std::string::npos);
}

TEST(KeyAlgorithm, SizesAndCurvesHaveTheirUsualSpellings) {
  EXPECT_EQ(parse_key_algorithm("RSA", "4096"), KeyAlgorithm::Rsa4096);
  EXPECT_EQ(parse_key_algorithm("rsa"), KeyAlgorithm::Rsa2048);
  EXPECT_EQ(parse_key_algorithm("ec", "secp384r1"), KeyAlgorithm::EcP384);
  EXPECT_EQ(parse_key_algorithm("EC", "P-256"), KeyAlgorithm::EcP256);
  EXPECT_EQ(parse_key_algorithm("ed25519"), KeyAlgorithm::Ed25519);
  EXPECT_FALSE(parse_key_algorithm("rsa", "1024"));
  EXPECT_FALSE(parse_key_algorithm("ec", "secp521r1"));
  EXPECT_FALSE(parse_key_algorithm("dsa"));
}

TEST_F(KeyFile, IsPrivateFromItsCreationAndNeverReplaced) {
  const auto key = PrivateKey::generate(KeyAlgorithm::EcP256).value();
  ::umask(0);
  ASSERT_TRUE(key.create_file(path_));
  ::umask(022);
  struct stat facts{};
  ASSERT_EQ(::stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
  EXPECT_EQ(PrivateKey::load(path_).value().public_key(), key.public_key());
  const auto again = PrivateKey::generate(KeyAlgorithm::EcP256).value().create_file(path_);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
  EXPECT_EQ(PrivateKey::load(path_).value().public_key(), key.public_key());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(KeyFile, LoosePermissionsAreRefusedWithTheCommandThatMendsThem) {
  ASSERT_TRUE(PrivateKey::generate(KeyAlgorithm::EcP256).value().create_file(path_));
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  const auto loaded = PrivateKey::load(path_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::PermissionDenied);
  EXPECT_NE(loaded.error().message.find("chmod 600 " + path_), std::string::npos);
}

TEST_F(KeyFile, AFolderThatEverybodyMayWriteIsRefusedUnlessItIsSticky) {
  ASSERT_TRUE(PrivateKey::generate(KeyAlgorithm::EcP256).value().create_file(path_));
  ASSERT_EQ(::chmod(folder_.c_str(), 01777), 0);
  EXPECT_TRUE(PrivateKey::load(path_));
  ASSERT_EQ(::chmod(folder_.c_str(), 0777), 0);
  const auto loaded = PrivateKey::load(path_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::PermissionDenied);
  EXPECT_NE(loaded.error().message.find("chmod o-w " + folder_), std::string::npos);
}

TEST_F(KeyFile, SymbolicLinksAreRefused) {
  ASSERT_TRUE(PrivateKey::generate(KeyAlgorithm::EcP256).value().create_file(path_));
  const std::string link = folder_ + "/link.pem";
  ASSERT_EQ(::symlink(path_.c_str(), link.c_str()), 0);
  EXPECT_FALSE(PrivateKey::load(link));
}

TEST_F(KeyFile, LoadOrCreateKeepsTheFirstKey) {
  const auto first = load_or_create_key(path_, KeyAlgorithm::EcP256).value();
  const auto second = load_or_create_key(path_, KeyAlgorithm::EcP256).value();
  EXPECT_EQ(first.public_key(), second.public_key());
}

TEST(Jwk, ThumbprintOfRfc7638) {
  // RFC 7638 section 3.1.
  const auto key = PublicKey::from_jwk(
      R"({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"})");
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->thumbprint().value(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

TEST(Jwk, EcKeysSurviveTheRoundTrip) {
  for (const auto algorithm : {KeyAlgorithm::EcP256, KeyAlgorithm::EcP384}) {
    const auto key = PrivateKey::generate(algorithm).value().public_key();
    const auto again = PublicKey::from_jwk(key.to_jwk().value());
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*again, key);
    EXPECT_EQ(again->thumbprint().value(), key.thumbprint().value());
  }
}

TEST(Jwk, RefusesBadKeys) {
  const std::string x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
  const std::string y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
  const auto ec = [](const std::string& curve, const std::string& a, const std::string& b,
                     const std::string& more = "") {
    return PublicKey::from_jwk(R"({"kty":"EC","crv":")" + curve + R"(","x":")" + a + R"(","y":")" +
                               b + "\"" + more + "}");
  };
  ASSERT_TRUE(ec("P-256", x, y));
  EXPECT_FALSE(ec("P-521", x, y));
  EXPECT_FALSE(ec("P-256", y, x)) << "the point is not on the curve";
  EXPECT_FALSE(ec("P-256", "AA", y));
  EXPECT_FALSE(ec("P-256", x, y, R"(,"d":"AA")")) << "a private key";
  EXPECT_FALSE(ec("P-256", x, y, R"(,"x":"AA")")) << "a second x";
  EXPECT_FALSE(PublicKey::from_jwk(R"({"kty":"oct","k":"AAAA"})"));
  EXPECT_FALSE(PublicKey::from_jwk(R"({"kty":"RSA","n":"AQAB","e":"AQAB"})"));
  EXPECT_FALSE(PublicKey::from_jwk("[]"));
  EXPECT_FALSE(PrivateKey::generate(KeyAlgorithm::Ed25519).value().public_key().to_jwk());
}

}  // namespace
}  // namespace larder::crypto
