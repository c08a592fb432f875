#include "crypto/handshake.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "crypto/handles.h"
#include "crypto/names.h"
#include "crypto/openssl_error.h"

namespace larder::crypto {

using base::ErrorCode;
using base::Result;
using base::Status;

namespace {

using ContextHandle = Handle<SSL_CTX, SSL_CTX_free>;
using SessionHandle = Handle<SSL, SSL_free>;

constexpr int kRoundsLimit = 32;           // a handshake takes about four
constexpr int kSecurityLevel = 2;          // 112 bits, as verify_chain
constexpr std::size_t kPipe = 128 * 1024;  // bytes each way without waiting

Result<ContextHandle> server_context(std::span<const Certificate> chain, const PrivateKey& key) {
  ContextHandle context(SSL_CTX_new(TLS_server_method()));
  if (!context || chain.empty() ||
      SSL_CTX_use_certificate(context.get(), chain.front().native()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.native()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return fail_openssl(ErrorCode::FailedPrecondition,
                        "a TLS server cannot use the certificate with its key");
  }
  for (const Certificate& certificate : chain.subspan(1)) {
    if (SSL_CTX_add1_chain_cert(context.get(), certificate.native()) != 1) {
      return fail_openssl(ErrorCode::FailedPrecondition, "a TLS server cannot use the chain");
    }
  }
  return context;
}

Result<ContextHandle> client_context(const TrustStore* trust) {
  ContextHandle context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail_openssl(ErrorCode::Internal, "cannot make a TLS client");
  SSL_CTX_set_security_level(context.get(), kSecurityLevel);
  if (trust != nullptr) {
    SSL_CTX_set1_cert_store(context.get(), trust->native());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  } else {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  }
  return context;
}

bool expect_name(SSL* client, const std::string& name, base::WallTime now) {
  X509_VERIFY_PARAM* const rules = SSL_get0_param(client);
  X509_VERIFY_PARAM_set_time(rules, base::to_unix_seconds(now));
  if (parse_address(name)) return X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1;
  X509_VERIFY_PARAM_set_hostflags(
      rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return X509_VERIFY_PARAM_set1_host(rules, name.c_str(), 0) == 1 &&
         SSL_set_tlsext_host_name(client, name.c_str()) == 1;
}

bool can_go_on(SSL* session, int result) {
  if (result == 1) return true;
  const int reason = SSL_get_error(session, result);
  return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
}

std::unexpected<base::Error> client_refusal(SSL* client, const std::string& name) {
  const long verdict = SSL_get_verify_result(client);
  const std::string what = "a client that connects to " + name + " refuses the certificate";
  if (verdict != X509_V_OK) {
    ERR_clear_error();
    return base::fail(ErrorCode::FailedPrecondition,
                      what + ": " + X509_verify_cert_error_string(verdict));
  }
  return fail_openssl(ErrorCode::FailedPrecondition, what);
}

Status shake_hands(SSL* client, SSL* server, const std::string& name) {
  for (int round = 0; round < kRoundsLimit; ++round) {
    const int client_result = SSL_do_handshake(client);
    if (!can_go_on(client, client_result)) return client_refusal(client, name);
    const int server_result = SSL_do_handshake(server);
    if (!can_go_on(server, server_result)) {
      return fail_openssl(ErrorCode::FailedPrecondition,
                          "a TLS server cannot complete a handshake with the certificate");
    }
    if (client_result == 1 && server_result == 1) return {};
  }
  return base::fail(ErrorCode::FailedPrecondition, "the test handshake does not end");
}

Status prove_version(SSL_CTX* server_settings, SSL_CTX* client_settings, int version,
                     const std::string& name, base::WallTime now) {
  const SessionHandle client(SSL_new(client_settings));
  const SessionHandle server(SSL_new(server_settings));
  BIO* client_end = nullptr;
  BIO* server_end = nullptr;
  if (!client || !server || BIO_new_bio_pair(&client_end, kPipe, &server_end, kPipe) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot make a test handshake");
  }
  SSL_set_bio(client.get(), client_end, client_end);
  SSL_set_bio(server.get(), server_end, server_end);
  SSL_set_connect_state(client.get());
  SSL_set_accept_state(server.get());
  if (SSL_set_min_proto_version(client.get(), version) != 1 ||
      SSL_set_max_proto_version(client.get(), version) != 1 ||
      !expect_name(client.get(), name, now)) {
    return fail_openssl(ErrorCode::Internal, "cannot make a test handshake");
  }
  return shake_hands(client.get(), server.get(), name);
}

}  // namespace

Status prove_handshake(std::span<const Certificate> chain, const PrivateKey& key,
                       const TrustStore* trust, const std::string& name, base::WallTime now) {
  const auto server = server_context(chain, key);
  if (!server) return std::unexpected(server.error());
  const auto client = client_context(trust);
  if (!client) return std::unexpected(client.error());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    LARDER_TRY(prove_version(server->get(), client->get(), version, name, now));
  }
  return {};
}

}  // namespace larder::crypto
