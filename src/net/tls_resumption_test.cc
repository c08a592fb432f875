#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>

#include "crypto/issue.h"
#include "net/tls_challenges.h"
#include "net/tls_context.h"

namespace larder::net {
namespace {

using ContextHandle = std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* it) { SSL_CTX_free(it); })>;
using SslHandle = std::unique_ptr<SSL, decltype([](SSL* it) { SSL_free(it); })>;
using SessionHandle =
    std::unique_ptr<SSL_SESSION, decltype([](SSL_SESSION* it) { SSL_SESSION_free(it); })>;

TlsContext::Identity identity() {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const auto now =
      std::chrono::time_point_cast<base::WallTime::duration>(std::chrono::system_clock::now());
  crypto::CertificateTemplate about;
  about.subject.common_name = "node1.example.org";
  about.names.dns = {"node1.example.org"};
  about.not_before = now - std::chrono::hours(1);
  about.not_after = now + std::chrono::hours(24);
  about.server_auth = true;
  return {.chain_pem = crypto::issue_self_signed(about, key).value().to_pem(),
          .key_pem = key.to_pem().value()};
}

// A client that keeps the last ticket it was given.
class Client {
 public:
  // Whether the session was resumed; both sides run in memory.
  bool connect(const TlsContext& server) {
    const SslHandle client(SSL_new(context_.get()));
    const SslHandle node(static_cast<SSL*>(server.new_session(0)));
    BIO* one = nullptr;
    BIO* other = nullptr;
    EXPECT_EQ(BIO_new_bio_pair(&one, 1 << 16, &other, 1 << 16), 1);
    SSL_set_bio(client.get(), one, one);
    SSL_set_bio(node.get(), other, other);
    SSL_set_connect_state(client.get());
    SSL_set_accept_state(node.get());
    if (session_) SSL_set_session(client.get(), session_.get());
    for (int turn = 0; turn < 4; ++turn) {
      SSL_do_handshake(client.get());
      SSL_do_handshake(node.get());
    }
    EXPECT_TRUE(SSL_is_init_finished(client.get()) == 1 && SSL_is_init_finished(node.get()) == 1);
    char byte = 0;
    SSL_read(client.get(), &byte, 1);  // takes the ticket
    session_.reset(SSL_get1_session(client.get()));
    // Or else OpenSSL takes the connection for broken, and its session with it.
    SSL_set_shutdown(client.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    return SSL_session_reused(client.get()) == 1;
  }

 private:
  const ContextHandle context_{SSL_CTX_new(TLS_client_method())};
  SessionHandle session_;
};

TEST(TlsResumption, GoesOnWhileAChallengeIsOpenAndAfterIt) {
  TlsContext::Settings settings;
  settings.identities.push_back(identity());
  const auto plain = TlsContext::create(settings).value();
  const auto wrapper =
      TlsContext::create_for_challenges(std::make_shared<TlsChallenges>(), plain).value();
  Client client;
  EXPECT_FALSE(client.connect(*plain));
  EXPECT_TRUE(client.connect(*wrapper)) << "a ticket from before";
  EXPECT_TRUE(client.connect(*plain)) << "a ticket from while it was open";
  Client newcomer;
  EXPECT_FALSE(newcomer.connect(*wrapper));
  EXPECT_TRUE(newcomer.connect(*plain));
}

}  // namespace
}  // namespace larder::net
