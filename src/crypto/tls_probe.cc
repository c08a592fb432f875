#include "crypto/tls_probe.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "crypto/handles.h"
#include "crypto/names.h"
#include "crypto/openssl_error.h"

namespace larder::crypto {

using base::ErrorCode;
using base::Result;

namespace {

using ContextHandle = Handle<SSL_CTX, SSL_CTX_free>;
using SessionHandle = Handle<SSL, SSL_free>;

// False when the deadline passes first.
bool wait_for(int fd, int wanted, base::SteadyTime deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0) return false;
  pollfd poll{.fd = fd,
              .events = static_cast<short>(wanted == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT),
              .revents = 0};
  return ::poll(&poll, 1, static_cast<int>(left.count())) != 0;
}

Result<TlsShown> shown_by(SSL* ssl) {
  TlsShown shown{.version = SSL_get_version(ssl),
                 .cipher = SSL_get_cipher_name(ssl),
                 .alpn = {},
                 .chain = {},
                 .staple = {}};
  const unsigned char* protocol = nullptr;
  unsigned int length = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &length);
  if (length > 0) shown.alpn.assign(reinterpret_cast<const char*>(protocol), length);
  unsigned char* staple = nullptr;  // the session keeps it
  const long size = SSL_get_tlsext_status_ocsp_resp(ssl, static_cast<void*>(&staple));
  if (staple != nullptr && size > 0) {
    shown.staple.assign(reinterpret_cast<const char*>(staple), static_cast<std::size_t>(size));
  }
  STACK_OF(X509)* const sent = SSL_get_peer_cert_chain(ssl);  // of a client: with the leaf
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    X509* const certificate = sk_X509_value(sent, i);
    X509_up_ref(certificate);
    auto adopted = Certificate::adopt(CertificateHandle(certificate));
    if (!adopted) return std::unexpected(adopted.error());
    shown.chain.push_back(std::move(*adopted));
  }
  if (shown.chain.empty()) {
    return base::fail(ErrorCode::Unavailable, "the server showed no certificate");
  }
  return shown;
}

}  // namespace

Result<TlsShown> probe_tls(int fd, const std::string& name, base::SteadyTime deadline) {
  if (::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return base::fail_errno("cannot use a socket", errno);
  const ContextHandle context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail_openssl(ErrorCode::Internal, "cannot make a TLS client");
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  const SessionHandle ssl(SSL_new(context.get()));
  constexpr unsigned char kProtocols[] = "\x08http/1.1";
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1 ||
      SSL_set_alpn_protos(ssl.get(), kProtocols, sizeof(kProtocols) - 1) != 0 ||
      SSL_set_tlsext_status_type(ssl.get(), TLSEXT_STATUSTYPE_ocsp) != 1 ||
      (!parse_address(name) && SSL_set_tlsext_host_name(ssl.get(), name.c_str()) != 1)) {
    return fail_openssl(ErrorCode::Internal, "cannot make a TLS client");
  }
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(ssl.get());
    if (result == 1) return shown_by(ssl.get());
    const int error = SSL_get_error(ssl.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      if (wait_for(fd, error, deadline)) continue;
      return base::fail(ErrorCode::DeadlineExceeded, "the handshake does not end");
    }
    if (ERR_peek_error() == 0) {
      return base::fail(ErrorCode::Unavailable, "the connection was closed in the handshake");
    }
    const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
    std::string text = reason != nullptr ? reason : "the handshake failed";
    ERR_clear_error();
    return base::fail(ErrorCode::Unavailable, std::move(text));
  }
}

}  // namespace larder::crypto
