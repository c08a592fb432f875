#include "net/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <cstring>
#include <string_view>

#include "net/traffic_secrets.h"

namespace larder::net {

namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

std::unexpected<base::Error> tls_error(const std::string& what) {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_peek_last_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return base::fail(base::ErrorCode::InvalidArgument, what + ": " + text);
}

// http/1.1 or nothing: the open Delivery Optimization client's resume breaks over HTTP/2.
int select_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* offered, unsigned offered_length, void* /*argument*/) {
  static constexpr std::string_view kProtocol = "http/1.1";
  for (unsigned i = 0; i < offered_length; i += 1U + offered[i]) {
    if (i + 1U + offered[i] > offered_length) break;
    const std::string_view name(reinterpret_cast<const char*>(offered + i + 1), offered[i]);
    if (name == kProtocol) {
      *out = offered + i + 1;
      *out_length = offered[i];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

#ifndef LARDER_WRAPS_KEY_LOG
// The hexadecimal line of a key log file.
void read_key_log_line(const SSL* ssl, const char* line) {
  const std::string_view text(line);
  const std::string_view label = text.substr(0, text.find(' '));
  const std::string_view hex = text.substr(text.rfind(' ') + 1);
  if (hex.size() != 2 * Tls13Keys::kSecret) return;  // another hash: another suite
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::array<std::uint8_t, Tls13Keys::kSecret> secret;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    secret[i] = static_cast<std::uint8_t>(digit(hex[2 * i]) * 16 + digit(hex[2 * i + 1]));
  }
  keep_traffic_secret(SSL_get_app_data(ssl), label, secret);
  OPENSSL_cleanse(secret.data(), secret.size());
}
#endif

int accept_any_certificate(int /*verified*/, X509_STORE_CTX* /*store*/) {
  return 1;
}

}  // namespace

#ifdef LARDER_WRAPS_KEY_LOG
// Stands for OpenSSL's function of that name, which prints five secrets of every handshake in
// hexadecimal: a twentieth of a handshake's cost (CMakeLists.txt says where that is possible).
// NOLINTBEGIN(bugprone-reserved-identifier): the linker makes the name.
extern "C" int __wrap_ssl_log_secret(SSL* ssl, const char* label, const unsigned char* secret,
                                     std::size_t length);
extern "C" int __wrap_ssl_log_secret(SSL* ssl, const char* label, const unsigned char* secret,
                                     std::size_t length) {
  keep_traffic_secret(SSL_get_app_data(ssl), label, {secret, length});
  return 1;
}
// NOLINTEND(bugprone-reserved-identifier)
#endif

base::Result<std::shared_ptr<const TlsContext>> TlsContext::create(const Settings& settings) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) return tls_error("cannot make a TLS context");
  std::shared_ptr<const TlsContext> result(new TlsContext(context));

  const Owned<BIO> key_text(
      BIO_new_mem_buf(settings.key_pem.data(), static_cast<int>(settings.key_pem.size())));
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  if (!key) return tls_error("cannot read the private key");
  const Owned<BIO> chain(
      BIO_new_mem_buf(settings.chain_pem.data(), static_cast<int>(settings.chain_pem.size())));
  const Owned<X509> leaf(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
  if (!leaf) return tls_error("cannot read the certificate");
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return tls_error("the certificate and the key do not fit together");
  }
  while (X509* issuer = PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, issuer) != 1) {
      X509_free(issuer);
      return tls_error("cannot add an intermediate certificate");
    }
  }
  ERR_clear_error();

  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // AES-128-GCM first: the cheapest per byte on processors with AES instructions, and strong enough
  // for all.
  SSL_CTX_set_ciphersuites(
      context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  if (SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL:!SHA1:!PSK") !=
      1) {
    return tls_error("cannot set the cipher list");
  }
#ifndef LARDER_WRAPS_KEY_LOG
  SSL_CTX_set_keylog_callback(context, read_key_log_line);
#endif
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
  if (settings.ask_client_certificate) {
    static constexpr unsigned char kSessionContext[] = "larder-content";
    SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any_certificate);
  }
  return result;
}

TlsContext::~TlsContext() {
  SSL_CTX_free(static_cast<SSL_CTX*>(context_));
}

}  // namespace larder::net
