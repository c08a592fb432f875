#include "net/tls_context.h"

#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "base/encoding.h"
#include "base/random.h"
#include "crypto/certificate.h"
#include "crypto/key.h"
#include "net/identity_choice.h"
#include "net/traffic_secrets.h"

namespace larder::net {

namespace {

using IssuersHandle =
    std::unique_ptr<STACK_OF(X509),
                    decltype([](STACK_OF(X509) * issuers) { sk_X509_free(issuers); })>;

std::unexpected<base::Error> tls_error(const std::string& what) {
  char text[256] = "unknown";
  if (const unsigned long code = ERR_peek_last_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return base::fail(base::ErrorCode::InvalidArgument, what + ": " + text);
}

// The open Delivery Optimization client's resume breaks over HTTP/2.
constexpr std::string_view kDeliveryProtocol = "http/1.1";

// That of the context or nothing.
int select_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* offered, unsigned offered_length, void* argument) {
  const std::string_view wanted = *static_cast<const std::string_view*>(argument);
  for (unsigned i = 0; i < offered_length; i += 1U + offered[i]) {
    if (i + 1U + offered[i] > offered_length) break;
    const std::string_view name(reinterpret_cast<const char*>(offered + i + 1), offered[i]);
    if (name == wanted) {
      *out = offered + i + 1;
      *out_length = offered[i];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

// The only entry of the extension server_name (RFC 6066 section 3), in lower case; empty when there
// is none.
std::string server_name_of(SSL* ssl) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  // Length of the list (2), type (1), length of the name (2), name.
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) != 1 || size < 5 ||
      data[2] != TLSEXT_NAMETYPE_host_name || data[3] * 256U + data[4] != size - 5) {
    return {};
  }
  return base::to_lower(std::string_view(reinterpret_cast<const char*>(data + 5), size - 5));
}

// Whether the client offers acme-tls/1 and nothing else (RFC 8737 section 3).
bool asks_for_challenge(SSL* ssl) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  // Length of the list (2), length of the protocol (1), protocol.
  return SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data,
                                   &size) == 1 &&
         size == 3 + kChallengeProtocol.size() && data[2] == kChallengeProtocol.size() &&
         std::memcmp(data + 3, kChallengeProtocol.data(), kChallengeProtocol.size()) == 0;
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

// Where a session keeps the descriptor of its connection.
int socket_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// The address that the client connected to, as text; empty when it cannot be known.
std::string local_address(SSL* session) {
  const auto fd =
      static_cast<int>(reinterpret_cast<std::intptr_t>(SSL_get_ex_data(session, socket_index()))) -
      1;
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return {};
  char text[INET6_ADDRSTRLEN] = "";
  const void* bytes = nullptr;
  if (address.ss_family == AF_INET) {
    bytes = &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr;
  } else if (address.ss_family == AF_INET6) {
    bytes = &reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr;
  }
  if (bytes != nullptr) ::inet_ntop(address.ss_family, bytes, text, sizeof text);
  return text;
}

base::WallTime wall_now() {
  return std::chrono::time_point_cast<base::WallTime::duration>(std::chrono::system_clock::now());
}

// Versions, ciphers, tickets: the same for all.
base::Status configure(SSL_CTX* context) {
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
  return {};
}

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

struct TlsContext::Parts {
  struct Loaded {
    std::vector<crypto::Certificate> chain;
    crypto::PrivateKey key;
  };

  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  std::vector<Loaded> identities;
  std::vector<IdentityFacts> facts;   // of each of them
  std::vector<ShownIdentity> shown;   // of each of them
  std::vector<std::size_t> defaults;  // those that the context offers by itself
  std::shared_ptr<TicketKeys> tickets;
  // Of a context for challenges, which has no identities.
  std::shared_ptr<const TlsChallenges> challenges;
  std::shared_ptr<const TlsContext> others;

  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() { SSL_CTX_free(context); }

  base::Status add(const Identity& identity);
  base::Status use_defaults();
  bool use(SSL* session, std::size_t index) const;
  IssuersHandle issuers(std::size_t index) const;
};

base::Status TlsContext::Parts::add(const Identity& identity) {
  auto chain = crypto::parse_certificates(identity.chain_pem);
  if (!chain) return base::with_context("cannot read the certificate", chain.error());
  auto key = crypto::PrivateKey::from_pem(identity.key_pem);
  if (!key) return base::with_context("cannot read the private key", key.error());
  if (!chain->front().matches(*key)) {
    return base::fail(base::ErrorCode::InvalidArgument,
                      "the certificate and the key do not fit together");
  }
  const crypto::AlternativeNames names = chain->front().alternative_names();
  facts.push_back({.kind = EVP_PKEY_get_base_id(key->native()),
                   .dns_names = names.dns,
                   .addresses = names.addresses,
                   .not_after = chain->front().not_after(),
                   .is_default = identity.is_default});
  shown.push_back({.sha256 = chain->front().sha256_hex(), .accepted = identity.accepted});
  identities.push_back({.chain = std::move(*chain), .key = std::move(*key)});
  return {};
}

IssuersHandle TlsContext::Parts::issuers(std::size_t index) const {
  IssuersHandle borrowed(sk_X509_new_null());
  const std::vector<crypto::Certificate>& chain = identities[index].chain;
  for (std::size_t i = 1; i < chain.size() && borrowed; ++i) {
    if (sk_X509_push(borrowed.get(), chain[i].native()) <= 0) borrowed.reset();
  }
  return borrowed;
}

base::Status TlsContext::Parts::use_defaults() {
  defaults = choose_identities(facts, {}, {}, wall_now());
  if (defaults.empty()) {
    return base::fail(base::ErrorCode::InvalidArgument, "a TLS listener needs a certificate");
  }
  for (const std::size_t index : defaults) {
    const IssuersHandle chain = issuers(index);
    if (!chain || SSL_CTX_use_cert_and_key(context, identities[index].chain.front().native(),
                                           identities[index].key.native(), chain.get(), 1) != 1) {
      return tls_error("the certificate cannot be used");
    }
  }
  return {};
}

bool TlsContext::Parts::use(SSL* session, std::size_t index) const {
  const IssuersHandle chain = issuers(index);
  return chain && SSL_use_cert_and_key(session, identities[index].chain.front().native(),
                                       identities[index].key.native(), chain.get(), 1) == 1;
}

namespace {

// Before the server's certificate is needed, once the ClientHello is read.
int choose_certificates(SSL* session, void* argument) {
  const auto& parts = *static_cast<const TlsContext::Parts*>(argument);
  const char* const name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
  const std::vector<std::size_t> chosen = choose_identities(
      parts.facts, name != nullptr ? name : "", local_address(session), wall_now());
  if (chosen == parts.defaults) return 1;
  SSL_certs_clear(session);
  const bool used =
      std::ranges::all_of(chosen, [&](std::size_t index) { return parts.use(session, index); });
  return used ? 1 : 0;
}

// Before anything of a connection is chosen: another context takes it over. OpenSSL seals and opens
// tickets by the first context all the same: it has the keys of the other one.
int choose_context(SSL* session, int* alert, void* argument) {
  const auto& parts = *static_cast<const TlsContext::Parts*>(argument);
  std::shared_ptr<const TlsContext> chosen;
  if (asks_for_challenge(session)) chosen = parts.challenges->find(server_name_of(session));
  // Nobody comes back to what ends with its handshake, which may outlive what it was chosen from.
  if (chosen) {
    SSL_set_num_tickets(session, 0);
    SSL_set_options(session, SSL_OP_NO_TICKET);
  }
  if (!chosen) chosen = parts.others;
  if (!chosen) {
    *alert = SSL_AD_HANDSHAKE_FAILURE;
    return SSL_CLIENT_HELLO_ERROR;
  }
  auto* const context = static_cast<SSL_CTX*>(chosen->native());
  SSL_set_SSL_CTX(session, context);
  // What OpenSSL does not take over with it: whether the client is asked for a certificate.
  SSL_set_verify(session, SSL_CTX_get_verify_mode(context), SSL_CTX_get_verify_callback(context));
  return SSL_CLIENT_HELLO_SUCCESS;
}

// OpenSSL's contract: 1 and the ciphers set up; for a ticket of a client 2 when it wants a new
// one, 0 for a full handshake instead.
int seal_ticket(SSL* session, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                EVP_MAC_CTX* mac, int is_new) {
  static EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  const auto& parts =
      *static_cast<const TlsContext::Parts*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)));
  const base::SteadyTime now = std::chrono::steady_clock::now();
  std::shared_ptr<const TicketKeys::Key> key;
  if (is_new == 1) {
    key = parts.tickets->current(now);
    std::ranges::copy(key->name, name);
    base::random_bytes({iv, static_cast<std::size_t>(EVP_CIPHER_get_iv_length(algorithm))});
  } else {
    key = parts.tickets->find({name, std::tuple_size_v<decltype(TicketKeys::Key::name)>}, now);
    if (key == nullptr) return 0;
  }
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  if (EVP_MAC_init(mac, key->mac.data(), key->mac.size(), parameters) != 1) return -1;
  if (EVP_CipherInit_ex2(cipher, algorithm, key->cipher.data(), iv, is_new, nullptr) != 1)
    return -1;
  if (is_new == 1) return 1;
  return now - key->made < TicketKeys::kUsed ? 1 : 2;
}

void use_tickets(TlsContext::Parts* parts, std::shared_ptr<TicketKeys> tickets) {
  parts->tickets = std::move(tickets);
  SSL_CTX_set_timeout(parts->context, std::chrono::seconds(TicketKeys::kTicketLife).count());
  SSL_CTX_set_app_data(parts->context, parts);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(parts->context, seal_ticket);
}

}  // namespace

base::Result<std::shared_ptr<const TlsContext>> TlsContext::create(const Settings& settings) {
  auto parts = std::make_unique<Parts>();
  SSL_CTX* const context = parts->context;
  if (context == nullptr) return tls_error("cannot make a TLS context");
  for (const Identity& identity : settings.identities) LARDER_TRY(parts->add(identity));
  LARDER_TRY(parts->use_defaults());

  LARDER_TRY(configure(context));
  use_tickets(parts.get(), settings.tickets ? settings.tickets : std::make_shared<TicketKeys>());
  // A connection may outlive this object: what the callback needs is for ever.
  const std::string_view* const protocol =
      settings.answers_challenge ? &kChallengeProtocol : &kDeliveryProtocol;
  SSL_CTX_set_alpn_select_cb(context, select_protocol, const_cast<std::string_view*>(protocol));
  if (settings.staples != nullptr) offer_staples(context, settings.staples);
  // One certificate needs no choice, which every handshake would pay for.
  if (parts->identities.size() > 1) SSL_CTX_set_cert_cb(context, choose_certificates, parts.get());
  if (settings.ask_client_certificate) {
    static constexpr unsigned char kSessionContext[] = "larder-content";
    SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any_certificate);
  }
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(parts)));
}

TlsContext::TlsContext(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
TlsContext::~TlsContext() = default;

base::Result<std::shared_ptr<const TlsContext>> TlsContext::create_for_challenges(
    std::shared_ptr<const TlsChallenges> challenges, std::shared_ptr<const TlsContext> others) {
  auto parts = std::make_unique<Parts>();
  if (parts->context == nullptr) return tls_error("cannot make a TLS context");
  LARDER_TRY(configure(parts->context));
  if (others) use_tickets(parts.get(), others->parts_->tickets);
  parts->challenges = std::move(challenges);
  parts->others = std::move(others);
  SSL_CTX_set_client_hello_cb(parts->context, choose_context, parts.get());
  return std::shared_ptr<const TlsContext>(new TlsContext(std::move(parts)));
}

void* TlsContext::native() const {
  return parts_->context;
}

const ShownIdentity* TlsContext::shown_in(const void* session) const {
  const auto* const ssl = static_cast<const SSL*>(session);
  if (SSL_session_reused(ssl) == 1) return nullptr;
  const X509* const leaf = SSL_get_certificate(ssl);
  if (leaf == nullptr) return nullptr;
  const Parts& parts = parts_->others ? *parts_->others->parts_ : *parts_;
  for (std::size_t i = 0; i < parts.identities.size(); ++i) {
    if (parts.identities[i].chain.front().native() == leaf) return &parts.shown[i];
  }
  return nullptr;
}

void* TlsContext::new_session(int fd) const {
  SSL* const session = SSL_new(parts_->context);
  // A number, and never null, also for descriptor 0. NOLINTNEXTLINE(performance-no-int-to-ptr)
  SSL_set_ex_data(session, socket_index(), reinterpret_cast<void*>(std::intptr_t{fd} + 1));
  return session;
}

}  // namespace larder::net
