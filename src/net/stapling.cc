#include "net/stapling.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cstring>
#include <span>

#include "base/encoding.h"

namespace larder::net {

namespace {

int staple(SSL* ssl, void* argument) {
  const auto staples = static_cast<const StapleBoard*>(argument)->get();
  X509* const certificate = SSL_get_certificate(ssl);
  if (!staples || staples->empty() || certificate == nullptr) return SSL_TLSEXT_ERR_NOACK;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &length) != 1) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  const auto found = staples->find(base::to_hex(std::span(digest).first(length)));
  if (found == staples->end() || found->second.until <= std::chrono::system_clock::now()) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  const std::string& response = found->second.response;
  void* const copy = OPENSSL_malloc(response.size());  // OpenSSL frees it with the connection
  if (copy == nullptr) return SSL_TLSEXT_ERR_NOACK;
  std::memcpy(copy, response.data(), response.size());
  SSL_set_tlsext_status_ocsp_resp(ssl, static_cast<unsigned char*>(copy),
                                  static_cast<long>(response.size()));
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

void offer_staples(void* context, const StapleBoard* board) {
  auto* const native = static_cast<SSL_CTX*>(context);
  SSL_CTX_set_tlsext_status_cb(native, staple);
  SSL_CTX_set_tlsext_status_arg(native, const_cast<StapleBoard*>(board));
}

}  // namespace larder::net
