#include "crypto/der_kind.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>

#include "crypto/handles.h"

namespace larder::crypto {

namespace {

template <typename T, auto Parse, auto Free>
bool parses_as(std::span<const std::uint8_t> der) {
  const unsigned char* position = der.data();
  const Handle<T, Free> parsed(Parse(nullptr, &position, static_cast<long>(der.size())));
  ERR_clear_error();
  return parsed != nullptr;
}

}  // namespace

DerKind classify_der(std::span<const std::uint8_t> der) {
  if (parses_as<X509, d2i_X509, X509_free>(der)) return DerKind::Certificate;
  if (parses_as<X509_REQ, d2i_X509_REQ, X509_REQ_free>(der)) return DerKind::Request;
  if (parses_as<EVP_PKEY, d2i_AutoPrivateKey, EVP_PKEY_free>(der)) return DerKind::PrivateKey;
  if (parses_as<PKCS12, d2i_PKCS12, PKCS12_free>(der)) return DerKind::Pkcs12;
  if (parses_as<PKCS7, d2i_PKCS7, PKCS7_free>(der)) return DerKind::Pkcs7;
  // EncryptedPrivateKeyInfo; last, because its form (algorithm and bytes) is so general.
  if (parses_as<X509_SIG, d2i_X509_SIG, X509_SIG_free>(der)) return DerKind::PrivateKey;
  return DerKind::Other;
}

}  // namespace larder::crypto
