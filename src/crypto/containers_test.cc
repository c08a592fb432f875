#include "crypto/containers.h"

#include <gtest/gtest.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>

#include "base/encoding.h"
#include "crypto/testing.h"

namespace larder::crypto {
namespace {

using base::ErrorCode;
using testing::make_leaf;
using testing::make_root;
using testing::Pair;

template <auto Write, typename T>
std::string to_der(T* value) {
  unsigned char* der = nullptr;
  const int size = Write(value, &der);
  std::string text(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return text;
}

// As an exporter would, with so many rounds of key derivation.
std::string pkcs12(const Pair& leaf, const char* password, int certificate_cipher,
                   bool with_key = true, int rounds = 1000) {
  const Handle<PKCS12, PKCS12_free> made(PKCS12_create(
      password, "leaf", with_key ? leaf.key.native() : nullptr, leaf.certificate.native(), nullptr,
      NID_aes_256_cbc, certificate_cipher, rounds, rounds, 0));
  return to_der<i2d_PKCS12>(made.get());
}

class Containers : public ::testing::Test {
 protected:
  const Pair root_ = make_root();
  const Pair leaf_ = make_leaf(root_);
};

TEST_F(Containers, Pkcs7GivesItsCertificatesOnce) {
  const Handle<PKCS7, PKCS7_free> made(PKCS7_new());
  PKCS7_set_type(made.get(), NID_pkcs7_signed);
  PKCS7_content_new(made.get(), NID_pkcs7_data);
  for (const Certificate& one : {leaf_.certificate, root_.certificate, leaf_.certificate}) {
    PKCS7_add_certificate(made.get(), one.native());
  }
  const std::string der = to_der<i2d_PKCS7>(made.get());
  const auto read = read_pkcs7(base::as_bytes(der)).value();
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read_pkcs7(base::as_bytes(der), 1).error().code, ErrorCode::ResourceExhausted);
  EXPECT_FALSE(read_pkcs7(base::as_bytes(der.substr(0, der.size() / 2))));
}

TEST_F(Containers, Pkcs7WithoutCertificatesIsRefused) {
  const Handle<PKCS7, PKCS7_free> made(PKCS7_new());
  PKCS7_set_type(made.get(), NID_pkcs7_data);
  EXPECT_FALSE(read_pkcs7(base::as_bytes(to_der<i2d_PKCS7>(made.get()))));
}

TEST_F(Containers, Pkcs12OpensWithItsPasswordAlone) {
  for (const int cipher : {NID_aes_256_cbc, NID_pbe_WithSHA1And3_Key_TripleDES_CBC, -1}) {
    const std::string der = pkcs12(leaf_, "pass\xC3\xA4", cipher);
    const auto read = read_pkcs12(base::as_bytes(der), "pass\xC3\xA4");
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->certificates.size(), 1U);
    EXPECT_EQ(read->certificates.front(), leaf_.certificate);
    EXPECT_TRUE(read->holds_key);
    for (const char* wrong : {"", "pass"}) {
      EXPECT_EQ(read_pkcs12(base::as_bytes(der), wrong).error().code, ErrorCode::Unauthenticated);
    }
  }
}

TEST_F(Containers, Pkcs12WithoutKeyOrPasswordIsRead) {
  for (const char* none : {static_cast<const char*>(nullptr), ""}) {
    const std::string der = pkcs12(leaf_, none, -1, false);
    const auto read = read_pkcs12(base::as_bytes(der), "");
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_FALSE(read->holds_key);
  }
}

TEST_F(Containers, DerivationsThatTakeMinutesAreNotBegun) {
  // The number of rounds, raised in the finished file: in the check of the password, and in the
  // encryption behind it.
  std::string der = pkcs12(leaf_, "x", NID_aes_256_cbc, true, 0x7ABC);
  const std::string rounds("\x02\x02\x7A\xBC", 4);
  const std::size_t last = der.rfind(rounds);
  ASSERT_NE(last, std::string::npos);
  der.replace(last, 4, std::string("\x02\x02\x80\x00", 4));  // below zero
  EXPECT_EQ(read_pkcs12(base::as_bytes(der), "x").error().code, ErrorCode::ResourceExhausted);
}

TEST_F(Containers, DamagedPkcs12IsRefused) {
  const std::string der = pkcs12(leaf_, "x", NID_aes_256_cbc);
  EXPECT_FALSE(read_pkcs12(base::as_bytes(der.substr(0, der.size() - 10)), "x"));
  EXPECT_FALSE(read_pkcs12(base::as_bytes("junk"), "x"));
}

}  // namespace
}  // namespace larder::crypto
