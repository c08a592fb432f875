#include "net/tls_challenges.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <ostream>
#include <string>

#include "crypto/issue.h"
#include "net/tls_context.h"

namespace larder::net {
namespace {

using ContextHandle = std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* it) { SSL_CTX_free(it); })>;
using SslHandle = std::unique_ptr<SSL, decltype([](SSL* it) { SSL_free(it); })>;
using X509Handle = std::unique_ptr<X509, decltype([](X509* it) { X509_free(it); })>;

struct Made {
  crypto::PrivateKey key;
  crypto::Certificate certificate;
};

Made make(const std::string& name) {
  auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const auto now =
      std::chrono::time_point_cast<base::WallTime::duration>(std::chrono::system_clock::now());
  crypto::CertificateTemplate about;
  about.subject.common_name = name;
  about.names.dns = {name};
  about.not_before = now - std::chrono::hours(1);
  about.not_after = now + std::chrono::hours(24);
  about.server_auth = true;
  auto certificate = crypto::issue_self_signed(about, key).value();
  return {.key = std::move(key), .certificate = std::move(certificate)};
}

std::shared_ptr<const TlsContext> context_of(const Made& node, bool asks) {
  TlsContext::Settings settings;
  settings.identities.push_back(
      {.chain_pem = node.certificate.to_pem(), .key_pem = node.key.to_pem().value()});
  settings.ask_client_certificate = asks;
  return TlsContext::create(settings).value();
}

// What both sides saw of a handshake in memory.
struct Seen {
  bool finished = false;
  bool asked = false;     // the client, for a certificate
  std::string shown;      // to the client, SHA-256
  std::string presented;  // by the client, SHA-256; empty: none
  int mode = 0;           // of verification, on the node
  int authorities = 0;    // that the client's certificate may be of

  bool operator==(const Seen&) const = default;
};

void PrintTo(const Seen& seen, std::ostream* out) {
  *out << "finished " << seen.finished << ", asked " << seen.asked << ", presented "
       << !seen.presented.empty() << ", mode " << seen.mode << ", authorities " << seen.authorities;
}

std::string digest_of(X509* owned) {
  const X509Handle certificate(owned);
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!certificate || X509_digest(certificate.get(), EVP_sha256(), bytes, &size) != 1) return {};
  return {reinterpret_cast<char*>(bytes), size};
}

struct ClientSide {
  int version = TLS1_3_VERSION;
  const Made* identity = nullptr;
  std::string protocol;  // offered by ALPN, alone; empty: none
};

Seen connect(const TlsContext& node, const ClientSide& side) {
  const ContextHandle context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), side.version);
  SSL_CTX_set_max_proto_version(context.get(), side.version);
  bool asked = false;
  // Also called when there is no certificate to give; nothing is added here.
  SSL_CTX_set_cert_cb(
      context.get(),
      [](SSL*, void* flag) {
        *static_cast<bool*>(flag) = true;
        return 1;
      },
      &asked);
  if (side.identity != nullptr) {
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), side.identity->certificate.native()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), side.identity->key.native()), 1);
  }
  const SslHandle client(SSL_new(context.get()));
  if (!side.protocol.empty()) {
    const std::string list = static_cast<char>(side.protocol.size()) + side.protocol;
    SSL_set_alpn_protos(client.get(), reinterpret_cast<const unsigned char*>(list.data()),
                        static_cast<unsigned>(list.size()));
  }
  SSL_set_tlsext_host_name(client.get(), "node1.example.org");
  const SslHandle server(static_cast<SSL*>(node.new_session(0)));
  BIO* one = nullptr;
  BIO* other = nullptr;
  EXPECT_EQ(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16), 1);
  SSL_set_bio(client.get(), one, one);
  SSL_set_bio(server.get(), other, other);
  SSL_set_connect_state(client.get());
  SSL_set_accept_state(server.get());
  for (int turn = 0; turn < 4; ++turn) {
    SSL_do_handshake(client.get());
    SSL_do_handshake(server.get());
  }
  const STACK_OF(X509_NAME)* const authorities = SSL_get0_peer_CA_list(client.get());
  return {.finished =
              SSL_is_init_finished(client.get()) == 1 && SSL_is_init_finished(server.get()) == 1,
          .asked = asked,
          .shown = digest_of(SSL_get1_peer_certificate(client.get())),
          .presented = digest_of(SSL_get1_peer_certificate(server.get())),
          .mode = SSL_get_verify_mode(server.get()),
          .authorities = authorities != nullptr ? sk_X509_NAME_num(authorities) : 0};
}

std::shared_ptr<TlsChallenges> open_challenge() {
  auto challenges = std::make_shared<TlsChallenges>();
  const Made answer = make("node1.example.org");
  EXPECT_TRUE(challenges->open("node1.example.org", answer.certificate.to_pem(),
                               answer.key.to_pem().value()));
  return challenges;
}

TEST(TlsChallenges, OtherClientsFindTheListenerAsItIsWithoutOne) {
  const Made node = make("node1.example.org");
  const Made device = make("device.example.org");
  for (const bool asks : {false, true}) {
    const auto plain = context_of(node, asks);
    const auto wrapped = TlsContext::create_for_challenges(open_challenge(), plain).value();
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      for (const Made* const identity : {static_cast<const Made*>(nullptr), &device}) {
        for (const char* const protocol : {"", "http/1.1"}) {
          const ClientSide side{.version = version, .identity = identity, .protocol = protocol};
          const Seen usual = connect(*plain, side);
          EXPECT_TRUE(usual.finished);
          EXPECT_EQ(usual.asked, asks);
          EXPECT_EQ(usual.mode, asks ? SSL_VERIFY_PEER : SSL_VERIFY_NONE);
          EXPECT_EQ(usual.presented.empty(), !asks || identity == nullptr);
          EXPECT_EQ(connect(*wrapped, side), usual) << asks << version << protocol;
        }
      }
    }
  }
}

TEST(TlsChallenges, AreAnsweredWithTheirCertificateAndAskForNone) {
  const Made node = make("node1.example.org");
  const auto plain = context_of(node, true);
  const auto wrapped = TlsContext::create_for_challenges(open_challenge(), plain).value();
  const ClientSide authority{
      .version = TLS1_3_VERSION, .identity = nullptr, .protocol = std::string(kChallengeProtocol)};
  const Seen seen = connect(*wrapped, authority);
  EXPECT_TRUE(seen.finished);
  EXPECT_FALSE(seen.asked);
  EXPECT_NE(seen.shown, connect(*plain, {}).shown);
  EXPECT_EQ(seen.mode, SSL_VERIFY_NONE);
}

}  // namespace
}  // namespace larder::net
