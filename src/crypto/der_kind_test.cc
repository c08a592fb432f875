#include "crypto/der_kind.h"

#include <gtest/gtest.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>

#include "base/encoding.h"
#include "crypto/issue.h"

namespace larder::crypto {
namespace {

template <typename T>
DerKind kind_of(const T* value, int (*write)(const T*, unsigned char**)) {
  unsigned char* der = nullptr;
  const int size = write(value, &der);
  const DerKind kind = classify_der({der, size > 0 ? static_cast<std::size_t>(size) : 0U});
  OPENSSL_free(der);
  return kind;
}

TEST(DerKind, EachFormIsRecognised) {
  const base::WallTime now = base::from_unix_seconds(1'800'000'000);
  for (const auto algorithm : {KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048}) {
    const auto key = PrivateKey::generate(algorithm).value();
    const auto certificate =
        make_client_certificate(key, "device", now, now + std::chrono::hours(1)).value();
    EXPECT_EQ(kind_of<X509>(certificate.native(), i2d_X509), DerKind::Certificate);
    EXPECT_EQ(kind_of<EVP_PKEY>(key.native(), i2d_PrivateKey), DerKind::PrivateKey);
    const Handle<PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free> pkcs8(EVP_PKEY2PKCS8(key.native()));
    EXPECT_EQ(kind_of<PKCS8_PRIV_KEY_INFO>(pkcs8.get(), i2d_PKCS8_PRIV_KEY_INFO),
              DerKind::PrivateKey);
    const Handle<X509_SIG, X509_SIG_free> encrypted(PKCS8_encrypt(
        -1, EVP_aes_256_cbc(), "secret", 6, nullptr, 0, PKCS12_DEFAULT_ITER, pkcs8.get()));
    EXPECT_EQ(kind_of<X509_SIG>(encrypted.get(), i2d_X509_SIG), DerKind::PrivateKey);
    const Handle<PKCS12, PKCS12_free> pkcs12(
        PKCS12_create("secret", "n", key.native(), certificate.native(), nullptr, 0, 0, 0, 0, 0));
    EXPECT_EQ(kind_of<PKCS12>(pkcs12.get(), i2d_PKCS12), DerKind::Pkcs12);
    const Handle<PKCS7, PKCS7_free> pkcs7(PKCS7_new());
    ASSERT_EQ(PKCS7_set_type(pkcs7.get(), NID_pkcs7_signed), 1);
    ASSERT_EQ(PKCS7_content_new(pkcs7.get(), NID_pkcs7_data), 1);
    ASSERT_EQ(PKCS7_add_certificate(pkcs7.get(), certificate.native()), 1);
    EXPECT_EQ(kind_of<PKCS7>(pkcs7.get(), i2d_PKCS7), DerKind::Pkcs7);
  }
  EXPECT_EQ(classify_der({}), DerKind::Other);
  EXPECT_EQ(classify_der(base::as_bytes("hello")), DerKind::Other);
}

}  // namespace
}  // namespace larder::crypto
