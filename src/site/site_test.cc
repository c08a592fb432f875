#include "site/site.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/encoding.h"
#include "base/json.h"
#include "client/bootstrap.h"
#include "content/manifest.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "crypto/issue.h"
#include "crypto/jws.h"
#include "crypto/request.h"
#include "crypto/verify.h"
#include "db/database.h"
#include "net/loop.h"
#include "token/dpop.h"
#include "token/jwk_set.h"
#include "token/token.h"

namespace larder::site {
namespace {

using base::Json;
using server::Reply;
using server::RouteRequest;

const base::WallTime kStart = base::from_unix_seconds(1'800'000'000);
const std::string kUrl = "https://site.larder.test:8443";

std::string new_folder() {
  char folder[] = "/tmp/larder-site-XXXXXX";
  return ::mkdtemp(folder) == nullptr ? std::string() : std::string(folder);
}

crypto::PrivateKey new_key() {
  return crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
}

std::string request_for(const crypto::PrivateKey& key, const std::string& wish = "wish.test") {
  crypto::AlternativeNames names;
  names.dns = {wish};
  return crypto::CertificateRequest::create(key, {.common_name = wish}, names).value().to_pem();
}

std::string field(const Reply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.fields) {
    if (base::equals_ignoring_case(key, name)) return value;
  }
  return {};
}

Json body_of(const Reply& reply) {
  return Json::parse(reply.body, nullptr, false);
}

// A site in a new folder and callers that do what devices, nodes and administrators do.
struct SiteTest : testing::Test {
  SiteTest() { open(); }

  void open() {
    site.reset();
    auto opened = Site::open(settings, clock);
    ASSERT_TRUE(opened) << opened.error().message;
    site = std::move(*opened);
  }

  static SiteSettings make_settings() {
    SiteSettings made;
    made.name = "Example";
    made.state_dir = new_folder() + "/state";
    made.public_url = kUrl;
    made.dns_suffixes = {"larder.test"};
    made.address_ranges = {"127.0.0.0/8"};
    return made;
  }

  static Reply run(const server::Router& router, RouteRequest request) {
    const auto match = router.match(request.method, request.path);
    if (match.route == nullptr) return server::text_reply(match.path_known ? 405 : 404, "");
    request.captures = match.captures;
    if (match.route->blocking) return match.route->blocking(request);
    // A long poll runs on a loop, as in the server.
    Reply reply;
    net::Loop loop;
    loop.spawn([](const server::Router::Route* route, RouteRequest asked, Reply* out,
                  net::Loop* on) -> net::Task<void> {
      *out = co_await route->task(std::move(asked));
      on->stop();
    }(match.route, std::move(request), &reply, &loop));
    loop.run();
    return reply;
  }

  Reply control(const std::string& method, const std::string& path, const Json& body = {}) const {
    RouteRequest request;
    request.method = method;
    request.path = path;
    request.body = body.is_null() ? "" : body.dump();
    request.peer.credentials = server::Peer::Credentials{1000, 1000, 1};
    return run(site->control_router(), std::move(request));
  }

  std::string secret_of(const Reply& reply, std::string_view prefix) const {
    const auto token = client::parse_bootstrap_token(body_of(reply).value("token", ""), prefix);
    EXPECT_TRUE(token) << reply.body;
    return token ? token->secret : std::string();
  }

  std::string join_secret(const std::string& node = "node1",
                          const std::vector<std::string>& names = {"node1.larder.test"}) const {
    return secret_of(control("POST", "/api/v1/join-tokens",
                             {{"node", node}, {"names", names}, {"addresses", {"127.0.0.1"}}}),
                     client::kJoinPrefix);
  }

  Reply join(const std::string& secret, const crypto::PrivateKey& key) const {
    RouteRequest request;
    request.method = "POST";
    request.path = "/node/v1/join";
    request.body = Json{{"token_secret", secret}, {"csr", request_for(key)}}.dump();
    return run(site->device_router(), std::move(request));
  }

  // DER of the identity certificate of a newly joined node.
  std::string joined(const std::string& node = "node1",
                     const std::vector<std::string>& names = {"node1.larder.test"}) const {
    const Reply reply = join(join_secret(node, names), new_key());
    EXPECT_EQ(reply.status, 200) << reply.body;
    if (reply.status != 200) return {};
    return crypto::parse_certificates(body_of(reply)["certificate"].get<std::string>())
        .value()
        .front()
        .to_der();
  }

  Reply as_node(const std::string& identity, const std::string& method, const std::string& path,
                const std::string& body = {},
                const std::map<std::string, std::string>& query = {}) const {
    RouteRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.query = query;
    request.peer.tls = true;
    request.peer.client_certificate = identity;
    return run(site->device_router(), std::move(request));
  }

  Reply changes(const std::string& identity, std::int64_t after, int wait = 0) const {
    return as_node(identity, "GET", "/node/v1/changes", {},
                   {{"after", std::to_string(after)}, {"wait", std::to_string(wait)}});
  }

  Json snapshot(const std::string& identity) const {
    const Reply reply = changes(identity, 0);
    EXPECT_EQ(reply.status, 200);
    crypto::JwsRules rules;
    rules.type = "larder-snapshot+jwt";
    rules.size_limit = 16 << 20;
    const auto jws = crypto::parse_jws(body_of(reply)["snapshot"].get<std::string>(), rules);
    EXPECT_TRUE(jws);
    Json content = Json::parse(jws->payload);
    const auto key = token::parse_jwk_set(Json{{"keys", {content["snapshot_key"]}}}.dump());
    EXPECT_TRUE(key);
    EXPECT_TRUE(crypto::verify_jws(*jws, key->front().key));
    return content;
  }

  std::string registration_secret(int uses = 10) const {
    return secret_of(control("POST", "/api/v1/registration-tokens",
                             {{"lifetime_seconds", 3600}, {"uses", uses}}),
                     client::kRegisterPrefix);
  }

  // One request with a proof; asks for a nonce first, as a device does.
  Reply with_proof(const crypto::PrivateKey& key, const std::string& path, const std::string& body,
                   const std::string& access_token = {}, const std::string& url = kUrl) const {
    std::string nonce;
    for (int attempt = 0;; ++attempt) {
      RouteRequest request;
      request.method = "POST";
      request.path = path;
      request.body = body;
      const std::string target = url + path;
      request.fields = {
          {"DPoP", token::make_dpop_proof(key, {"POST", target, access_token}, nonce, clock.wall())
                       .value()}};
      if (!access_token.empty()) {
        request.fields.emplace_back("Authorization", "DPoP " + access_token);
      }
      Reply reply = run(site->device_router(), std::move(request));
      if (attempt == 1 || body_of(reply).value("error", "") != "use_dpop_nonce") return reply;
      nonce = field(reply, "DPoP-Nonce");
    }
  }

  Reply register_device(const crypto::PrivateKey& key, const std::string& secret,
                        const std::string& hardware = {}) const {
    return with_proof(
        key, "/client/v1/register",
        Json{{"registration_secret", secret}, {"name", "pc"}, {"hardware_id", hardware}}.dump());
  }

  std::string certificate_over(const crypto::PrivateKey& key) const {
    return crypto::make_client_certificate(key, "pc", clock.wall() - std::chrono::hours(1),
                                           clock.wall() + std::chrono::days(400))
        .value()
        .to_der();
  }

  Reply ask_token(const crypto::PrivateKey& key, const std::string& certificate) const {
    return with_proof(key, "/oauth2/token",
                      "grant_type=client_credentials&scope=content&client_certificate=" +
                          base::to_base64url(base::as_bytes(certificate)));
  }

  void publish(const std::string& package, const std::string& version,
               const std::string& content) const {
    const std::string path = settings.state_dir + "/upload/" + package + version;
    std::ofstream(path) << content;
    RouteRequest request;
    request.method = "PUT";
    request.path = "/api/v1/packages/" + package + "/" + version + "/files/tool.bin";
    request.body_file = path;
    request.peer.credentials = server::Peer::Credentials{};
    const Reply stored = run(site->control_router(), std::move(request));
    EXPECT_EQ(stored.status, 200) << stored.body;
    const Reply done = control("POST", "/api/v1/packages/" + package + "/" + version + "/publish");
    EXPECT_EQ(done.status, 200) << done.body;
  }

  Reply page(const std::string& path, const std::string& host) const {
    RouteRequest request;
    request.method = "GET";
    request.path = path;
    request.fields = {{"Host", host}};
    return run(site->admin_router(), std::move(request));
  }

  SiteSettings settings = make_settings();
  base::ManualClock clock{kStart};
  std::unique_ptr<Site> site;
};

TEST_F(SiteTest, ServesWithACertificateUnderItsConstrainedRoot) {
  RouteRequest request;
  request.method = "GET";
  request.path = "/.larder/pki/root.crt";
  const Reply root = run(site->pki_router(), request);
  ASSERT_EQ(root.status, 200);
  const auto trust = crypto::TrustStore::from_pem(root.body).value();
  const auto chain = crypto::parse_certificates(site->serving_certificate().chain_pem).value();
  ASSERT_EQ(chain.size(), 2U);
  const std::vector issuing{chain[1]};
  const std::vector<std::string> names{"site.larder.test"};
  EXPECT_TRUE(crypto::verify_chain(chain[0], issuing, trust, crypto::ChainPurpose::Server, names,
                                   clock.wall()));
}

TEST_F(SiteTest, ASecondProcessIsRefusedAndAReopeningKeepsEverything) {
  const auto second = Site::open(settings, clock);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, base::ErrorCode::FailedPrecondition);
  const std::string identity = joined();
  const auto key = new_key();
  ASSERT_EQ(register_device(key, registration_secret()).status, 200);
  const std::string chain = site->serving_certificate().chain_pem;
  const auto before = snapshot(identity);
  open();
  EXPECT_EQ(site->serving_certificate().chain_pem, chain);
  EXPECT_EQ(snapshot(identity)["sequence"], before["sequence"]);
  EXPECT_EQ(snapshot(identity)["snapshot_key"], before["snapshot_key"]);
  EXPECT_EQ(ask_token(key, certificate_over(key)).status, 200);
}

TEST_F(SiteTest, RefusesAPublicUrlThatItsRootCannotVouchFor) {
  for (const char* url : {"https://site.example.org", "http://site.larder.test",
                          "https://site.larder.test/path", "https://192.0.2.1:8443", ""}) {
    SiteSettings wrong = make_settings();
    wrong.public_url = url;
    EXPECT_FALSE(Site::open(wrong, clock)) << url;
  }
}

TEST_F(SiteTest, KeysAndDatabaseAreReadableByTheirOwnerOnly) {
  for (const char* file :
       {"/pki/root.key", "/pki/issuing-1.key", "/keys/token.key", "/keys/manifest.key",
        "/keys/snapshot.key", "/keys/ledger.key", "/keys/serving.key", "/site.db"}) {
    struct stat facts{};
    ASSERT_EQ(::stat((settings.state_dir + file).c_str(), &facts), 0) << file;
    EXPECT_EQ(facts.st_mode & 0777U, 0600U) << file;
  }
}

TEST_F(SiteTest, RenewsItsCertificateAtTwoThirdsOfItsLife) {
  std::string told;
  site->on_serving_certificate([&](const ServingIdentity& identity) { told = identity.chain_pem; });
  const std::string first = site->serving_certificate().chain_pem;
  clock.advance(std::chrono::days(59));
  ASSERT_TRUE(site->step(clock.wall()));
  EXPECT_EQ(told, "");
  clock.advance(std::chrono::days(2));
  ASSERT_TRUE(site->step(clock.wall()));
  EXPECT_NE(site->serving_certificate().chain_pem, first);
  EXPECT_EQ(told, site->serving_certificate().chain_pem);
}

TEST_F(SiteTest, TheLedgerHoldsEveryCertificateAndBreaksWhenItIsEdited) {
  (void)joined();
  EXPECT_EQ(site->verify_ledger().value(), 2) << "the site's own and the node's identity";
  ASSERT_TRUE(site->step(clock.wall()));
  EXPECT_TRUE(site->verify_ledger());
  site.reset();
  {
    const auto database = db::Database::open({settings.state_dir + "/site.db", 1}, {{1, {}}});
    ASSERT_TRUE(database) << database.error().message;
    ASSERT_TRUE((*database)->write([](db::Session& session) {
      return session.execute("UPDATE ledger SET detail = '{}' WHERE seq = 1");
    }));
  }
  open();
  const auto broken = site->verify_ledger();
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().code, base::ErrorCode::DataLoss);
}

TEST_F(SiteTest, ANodeGetsTheNamesOfItsTokenAndNotItsWishes) {
  const Reply reply = join(join_secret(), new_key());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json body = body_of(reply);
  EXPECT_EQ(body["names"], Json{"node1.larder.test"});
  const auto chain = crypto::parse_certificates(body["certificate"].get<std::string>()).value();
  EXPECT_EQ(chain[0].dns_names(), std::vector<std::string>{"node1.larder.test"});
  EXPECT_TRUE(chain[0].has_client_auth());
  EXPECT_FALSE(chain[0].has_server_auth());
}

TEST_F(SiteTest, AJoinTokenIsGoodForOneKeyOnly) {
  const std::string secret = join_secret();
  const auto key = new_key();
  EXPECT_EQ(join(secret, key).status, 200);
  EXPECT_EQ(join(secret, new_key()).status, 403);
  EXPECT_EQ(join(secret, key).status, 200) << "the same key again: its first answer was lost";
}

TEST_F(SiteTest, OfTwoNodesWithOneJoinTokenOnlyOneWins) {
  const std::string secret = join_secret();
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        if (join(secret, new_key()).status == 200) ++winners;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TEST_F(SiteTest, AJoinTokenDiesAfterAnHourAndAnInventedOneNeverLived) {
  const std::string secret = join_secret();
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(join(secret, new_key()).status, 401);
  EXPECT_EQ(join("invented", new_key()).status, 401);
  RouteRequest request;
  request.method = "POST";
  request.path = "/node/v1/join";
  for (const char* body : {"", "{", "[]", "{\"token_secret\":1}", "{\"token_secret\":\"a\"}"}) {
    request.body = body;
    EXPECT_EQ(run(site->device_router(), request).status, 400) << body;
  }
}

TEST_F(SiteTest, JoinTokensForForeignOrTakenNamesAreRefused) {
  (void)joined();
  const auto status = [&](const Json& body) {
    return control("POST", "/api/v1/join-tokens", body).status;
  };
  EXPECT_EQ(status({{"node", "node2"}, {"names", {"node2.example.org"}}}), 403);
  EXPECT_EQ(status({{"node", "node2"}, {"names", {"*.larder.test"}}}), 400);
  EXPECT_EQ(status({{"node", "node2"}, {"addresses", {"192.0.2.1"}}}), 403);
  EXPECT_EQ(status({{"node", "node2"}}), 403) << "no name at all";
  EXPECT_EQ(status({{"node", "../x"}, {"names", {"node2.larder.test"}}}), 400);
  EXPECT_EQ(status({{"node", "node2"}, {"names", {"NODE1.larder.test"}}}), 409) << "taken";
  EXPECT_EQ(status({{"node", "node2"}, {"names", {"node2.larder.test"}}}), 200);
}

TEST_F(SiteTest, ANodeThatJoinsAgainReplacesItsIdentity) {
  const std::string first = joined();
  const std::string second = joined();
  EXPECT_EQ(changes(first, 0).status, 401);
  EXPECT_EQ(changes(second, 0).status, 200);
  open();
  EXPECT_EQ(changes(first, 0).status, 401);
  EXPECT_EQ(changes(second, 0).status, 200);
}

TEST_F(SiteTest, NodeRoutesNeedAnIdentityOfThisSite) {
  const std::string stranger = certificate_over(new_key());
  for (const std::string& certificate : {std::string(), stranger, std::string("junk")}) {
    EXPECT_EQ(changes(certificate, 0).status, 401);
    EXPECT_EQ(as_node(certificate, "POST", "/node/v1/report", "{}").status, 401);
    EXPECT_EQ(as_node(certificate, "POST", "/node/v1/role-certificate", "{}").status, 401);
    EXPECT_EQ(as_node(certificate, "GET", "/node/v1/files/" + std::string(64, 'a')).status, 401);
  }
  const std::string identity = joined();
  clock.advance(std::chrono::days(366));
  EXPECT_EQ(changes(identity, 0).status, 401) << "expired";
}

TEST_F(SiteTest, ARoleCertificateIsForServersAndEndsWithEnhancedMode) {
  const std::string identity = joined();
  const std::string body = Json{{"csr", request_for(new_key())}}.dump();
  const Reply reply = as_node(identity, "POST", "/node/v1/role-certificate", body);
  ASSERT_EQ(reply.status, 200) << reply.body;
  const auto chain =
      crypto::parse_certificates(body_of(reply)["certificate"].get<std::string>()).value();
  EXPECT_TRUE(chain[0].has_server_auth());
  EXPECT_TRUE(chain[0].covers("node1.larder.test"));
  EXPECT_TRUE(chain[0].covers("127.0.0.1"));
  ASSERT_EQ(control("PUT", "/api/v1/site/mode", {{"mode", "https-only"}}).status, 200);
  EXPECT_EQ(snapshot(identity)["mode"], "https-only");
  EXPECT_EQ(as_node(identity, "POST", "/node/v1/role-certificate", body).status, 409);
  EXPECT_EQ(control("PUT", "/api/v1/site/mode", {{"mode", "off"}}).status, 400);
}

TEST_F(SiteTest, ANodeThatAsksForRoleCertificatesWithoutEndIsStopped) {
  const std::string identity = joined();
  const std::string body = Json{{"csr", request_for(new_key())}}.dump();
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(as_node(identity, "POST", "/node/v1/role-certificate", body).status, 200);
  }
  EXPECT_EQ(as_node(identity, "POST", "/node/v1/role-certificate", body).status, 429);
}

TEST_F(SiteTest, RevokedIdentitiesAreOnTheIssuersList) {
  const std::string first = joined();
  (void)joined();
  ASSERT_TRUE(site->step(clock.wall()));
  const auto chain = crypto::parse_certificates(site->serving_certificate().chain_pem).value();
  RouteRequest request;
  request.method = "GET";
  request.path = "/.larder/pki/" + chain[1].sha256_hex().substr(0, 32) + ".crl";
  const Reply list = run(site->pki_router(), request);
  ASSERT_EQ(list.status, 200);
  const auto serial =
      base::from_hex(crypto::Certificate::from_der(base::as_bytes(first)).value().serial_hex());
  ASSERT_TRUE(serial);
  EXPECT_NE(list.body.find(*serial), std::string::npos);
  request.path = "/.larder/pki/other.crl";
  EXPECT_EQ(run(site->pki_router(), request).status, 404);
}

TEST_F(SiteTest, ALongPollAnswersAtOnceOnAChange) {
  const std::string identity = joined();
  const auto sequence = snapshot(identity)["sequence"].get<std::int64_t>();
  EXPECT_EQ(changes(identity, sequence).status, 204);
  EXPECT_EQ(changes(identity, -1).status, 400);
  // A clock that stands still would let the wait end at once: this one is the machine's.
  base::SystemClock machine;
  auto live = Site::open(make_settings(), machine);
  ASSERT_TRUE(live) << live.error().message;
  std::swap(site, *live);
  const std::string live_identity = joined();
  const auto live_sequence = body_of(changes(live_identity, 0))["sequence"].get<std::int64_t>();
  Reply reply;
  std::jthread poll([&] { reply = changes(live_identity, live_sequence, 50); });
  ASSERT_EQ(control("PUT", "/api/v1/site/mode", {{"mode", "https-only"}}).status, 200);
  poll.join();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(body_of(reply)["sequence"], live_sequence + 1);
  std::swap(site, *live);
}

TEST_F(SiteTest, ADeviceRegistersOncePerKey) {
  const std::string secret = registration_secret(1);
  const auto key = new_key();
  const Reply first = register_device(key, secret);
  ASSERT_EQ(first.status, 200) << first.body;
  const Reply again = register_device(key, secret);
  ASSERT_EQ(again.status, 200) << "the token is used up, this key needs no further use";
  EXPECT_EQ(body_of(first)["client_id"], body_of(again)["client_id"]);
  EXPECT_EQ(register_device(new_key(), secret).status, 403);
  EXPECT_EQ(register_device(new_key(), "invented").status, 401);
}

TEST_F(SiteTest, ARegistrationTokenWithOneUseLetsOneOfManyIn) {
  const std::string secret = registration_secret(1);
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        if (register_device(new_key(), secret).status == 200) ++winners;
      });
    }
  }
  EXPECT_EQ(winners, 1);
}

TEST_F(SiteTest, RegistrationTokensHaveBounds) {
  const auto status = [&](std::int64_t seconds, std::int64_t uses) {
    return control("POST", "/api/v1/registration-tokens",
                   {{"lifetime_seconds", seconds}, {"uses", uses}})
        .status;
  };
  EXPECT_EQ(status(7 * 86400, 1), 200);
  EXPECT_EQ(status(7 * 86400 + 1, 1), 400);
  EXPECT_EQ(status(0, 1), 400);
  EXPECT_EQ(status(std::numeric_limits<std::int64_t>::max(), 1), 400);
  EXPECT_EQ(status(60, 0), 400);
  EXPECT_EQ(status(60, -1), 400);
  const std::string secret = registration_secret();
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(register_device(new_key(), secret).status, 401) << "expired";
}

TEST_F(SiteTest, SecretsAreNotInTheDatabase) {
  const std::string secrets[] = {join_secret(), registration_secret()};
  site.reset();
  std::ifstream file(settings.state_dir + "/site.db", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  ASSERT_GT(all.size(), 4096U);
  for (const std::string& secret : secrets) EXPECT_EQ(all.find(secret), std::string::npos);
}

TEST_F(SiteTest, AKnownHardwareIdWithANewKeyIsShown) {
  const std::string secret = registration_secret();
  ASSERT_EQ(register_device(new_key(), secret, "serial-1").status, 200);
  ASSERT_EQ(register_device(new_key(), secret, "serial-1").status, 200);
  const Json clients = body_of(control("GET", "/api/v1/clients"))["clients"];
  ASSERT_EQ(clients.size(), 2U);
  EXPECT_NE(clients[0]["conflict"], clients[1]["conflict"]);
}

TEST_F(SiteTest, AContentTokenIsBoundToACertificateOverTheRegisteredKey) {
  const auto key = new_key();
  ASSERT_EQ(register_device(key, registration_secret()).status, 200);
  const std::string certificate = certificate_over(key);
  const Reply reply = ask_token(key, certificate);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(body_of(reply)["expires_in"], 8 * 3600);
  RouteRequest request;
  request.method = "GET";
  request.path = "/.well-known/jwks.json";
  const auto keys = token::parse_jwk_set(run(site->device_router(), request).body).value();
  const auto find = [&](std::string_view id) { return token::find_key(keys, id); };
  const std::string text = body_of(reply)["access_token"];
  EXPECT_TRUE(
      token::verify_content_token(text, find, kUrl, crypto::sha256(certificate), clock.wall()));
  EXPECT_FALSE(token::verify_content_token(
      text, find, kUrl, crypto::sha256(certificate_over(new_key())), clock.wall()));
  const Reply stolen = ask_token(key, certificate_over(new_key()));
  EXPECT_EQ(stolen.status, 400) << "a certificate over another key";
  EXPECT_EQ(body_of(stolen)["error"], "invalid_request");
}

TEST_F(SiteTest, AClientTokenIsRenewedByTheRegisteredKeyAlone) {
  const auto key = new_key();
  const std::string form = "grant_type=client_credentials&scope=management";
  EXPECT_EQ(with_proof(key, "/oauth2/token", form).status, 401) << "not registered";
  ASSERT_EQ(register_device(key, registration_secret()).status, 200);
  const Reply reply = with_proof(key, "/oauth2/token", form);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(body_of(reply)["token_type"], "DPoP");
  RouteRequest request;
  request.method = "GET";
  request.path = "/.well-known/jwks.json";
  const auto keys = token::parse_jwk_set(run(site->device_router(), request).body).value();
  const auto find = [&](std::string_view id) { return token::find_key(keys, id); };
  EXPECT_TRUE(token::verify_client_token(body_of(reply)["access_token"].get<std::string>(), find,
                                         kUrl, key.public_key().thumbprint().value(),
                                         clock.wall()));
}

TEST_F(SiteTest, TheTokenEndpointRefusesStrangersWrongFormsAndWrongProofs) {
  const auto key = new_key();
  const std::string certificate = certificate_over(key);
  const Reply unknown = ask_token(key, certificate);
  EXPECT_EQ(unknown.status, 401);
  EXPECT_EQ(body_of(unknown)["error"], "invalid_client");
  ASSERT_EQ(register_device(key, registration_secret()).status, 200);
  const std::pair<const char*, const char*> forms[] = {
      {"", "unsupported_grant_type"},
      {"grant_type=password&scope=content", "unsupported_grant_type"},
      {"grant_type=client_credentials&grant_type=password", "invalid_request"},
      {"grant_type=client_credentials&scope=%zz", "invalid_request"},
      {"grant_type=client_credentials&scope=all", "invalid_scope"},
      {"grant_type=client_credentials&scope=content", "invalid_request"},
      {"grant_type=client_credentials&scope=content&client_certificate=AAAA", "invalid_request"}};
  for (const auto& [form, error] : forms) {
    const Reply reply = with_proof(key, "/oauth2/token", form);
    EXPECT_EQ(reply.status, 400) << form;
    EXPECT_EQ(body_of(reply)["error"], error) << form;
  }
  EXPECT_EQ(with_proof(key, "/oauth2/token", "", {}, "https://elsewhere.test").status, 401);
  RouteRequest request;
  request.method = "POST";
  request.path = "/oauth2/token";
  EXPECT_EQ(run(site->device_router(), request).status, 401) << "no proof";
  const std::string proof =
      token::make_dpop_proof(key, {"POST", kUrl + "/oauth2/token"}, "invented", clock.wall())
          .value();
  request.fields = {{"DPoP", proof}};
  const Reply nonce = run(site->device_router(), request);
  EXPECT_EQ(nonce.status, 401);
  EXPECT_EQ(body_of(nonce)["error"], "use_dpop_nonce");
  EXPECT_NE(field(nonce, "DPoP-Nonce"), "");
  request.fields = {{"DPoP", proof}, {"DPoP", proof}};
  EXPECT_EQ(run(site->device_router(), request).status, 401) << "two proofs";
}

TEST_F(SiteTest, AProofIsGoodOnce) {
  const auto key = new_key();
  ASSERT_EQ(register_device(key, registration_secret()).status, 200);
  const std::string nonce = field(ask_token(key, ""), "DPoP-Nonce");
  RouteRequest request;
  request.method = "POST";
  request.path = "/oauth2/token";
  request.body = "grant_type=client_credentials&scope=content&client_certificate=" +
                 base::to_base64url(base::as_bytes(certificate_over(key)));
  request.fields = {
      {"DPoP",
       token::make_dpop_proof(key, {"POST", kUrl + "/oauth2/token"}, nonce, clock.wall()).value()}};
  EXPECT_EQ(run(site->device_router(), request).status, 200);
  EXPECT_EQ(run(site->device_router(), request).status, 401);
}

TEST_F(SiteTest, ABlockedClientGetsNothingAndItsNodesKnow) {
  const std::string identity = joined();
  const auto key = new_key();
  const std::string secret = registration_secret();
  const Json client = body_of(register_device(key, secret));
  const std::string id = client["client_id"];
  publish("tool", "1.0", "content");
  const Json wanted{{"package", "tool"}, {"version", ""}};
  ASSERT_EQ(with_proof(key, "/client/v1/locate", wanted.dump(), client["client_token"]).status,
            200);
  ASSERT_EQ(control("POST", "/api/v1/clients/" + id + "/block").status, 200);
  EXPECT_EQ(ask_token(key, certificate_over(key)).status, 401);
  EXPECT_EQ(register_device(key, secret).status, 403);
  EXPECT_EQ(with_proof(key, "/client/v1/locate", wanted.dump(), client["client_token"]).status,
            401);
  EXPECT_EQ(snapshot(identity)["denied_clients"], Json{id});
  open();
  EXPECT_EQ(ask_token(key, certificate_over(key)).status, 401) << "after a restart too";
  clock.advance(std::chrono::hours(9));
  EXPECT_TRUE(snapshot(identity)["denied_clients"].empty()) << "its last token is dead";
  ASSERT_EQ(control("POST", "/api/v1/clients/" + id + "/unblock").status, 200);
  EXPECT_EQ(ask_token(key, certificate_over(key)).status, 200);
  EXPECT_EQ(control("POST", "/api/v1/clients/nobody/block").status, 404);
}

TEST_F(SiteTest, APublishedVersionIsSignedAndNeverChanges) {
  const std::string identity = joined();
  publish("tool", "1.0", "old content");
  publish("tool", "2.0", "new content");
  const Json told = snapshot(identity);
  ASSERT_EQ(told["packages"].size(), 2U);
  const auto keys = token::parse_jwk_set(Json{{"keys", told["token_keys"]}}.dump()).value();
  const auto manifest_key = std::ranges::find(keys, std::string("manifest"), &token::SetKey::use);
  ASSERT_NE(manifest_key, keys.end());
  const auto manifest = content::verify_manifest(told["packages"][1]["manifest"].get<std::string>(),
                                                 manifest_key->key);
  ASSERT_TRUE(manifest) << manifest.error().message;
  ASSERT_EQ(manifest->files.size(), 1U);
  const Reply file = as_node(identity, "GET", "/node/v1/files/" + manifest->files[0].sha256);
  EXPECT_EQ(file.status, 200);
  EXPECT_EQ(file.file_length, 11U);
  EXPECT_EQ(as_node(identity, "GET", "/node/v1/files/" + std::string(64, 'a')).status, 404);
  EXPECT_EQ(as_node(identity, "GET", "/node/v1/files/..").status, 404);
  EXPECT_EQ(control("POST", "/api/v1/packages/tool/1.0/publish").status, 409);
  EXPECT_EQ(control("POST", "/api/v1/packages/none/1.0/publish").status, 409);
  RouteRequest request;
  request.method = "PUT";
  request.path = "/api/v1/packages/tool/1.0/files/tool.bin";
  request.peer.credentials = server::Peer::Credentials{};
  EXPECT_EQ(run(site->control_router(), request).status, 409);
  const Json list = body_of(control("GET", "/api/v1/packages"))["packages"];
  EXPECT_EQ(list[0]["size"], 11);
}

TEST_F(SiteTest, LocationPrefersFreshNodesAndAlwaysHasAFallback) {
  const std::string identity = joined();
  const auto key = new_key();
  const Json client = body_of(register_device(key, registration_secret()));
  publish("tool", "1.0", "content");
  const auto locate = [&](const Json& what) {
    return with_proof(key, "/client/v1/locate", what.dump(), client["client_token"]);
  };
  const auto report = [&](const std::string& url) {
    return as_node(identity, "POST", "/node/v1/report",
                   Json{{"sequence", 1}, {"started_at", "x"}, {"content_url", url}}.dump())
        .status;
  };
  EXPECT_EQ(report("https://elsewhere.test:8445"), 400);
  EXPECT_EQ(report("http://node1.larder.test:8445"), 400);
  EXPECT_TRUE(body_of(locate({{"package", "tool"}}))["nodes"].empty());
  EXPECT_EQ(report("https://node1.larder.test:8445"), 200);
  const Json answer = body_of(locate({{"package", "tool"}, {"version", "1.0"}}));
  EXPECT_EQ(answer["nodes"][0]["url"], "https://node1.larder.test:8445");
  EXPECT_EQ(answer["nodes"][0]["trust"], answer["fallback"][0]["trust"]);
  EXPECT_EQ(answer["fallback"][0]["url"], kUrl);
  EXPECT_EQ(answer["manifest_sha256"],
            content::manifest_sha256(answer["manifest"].get<std::string>()));
  const Json pki{{"source", "pki"},
                 {"state", "active"},
                 {"not_before", "2027-01-01T00:00:00Z"},
                 {"not_after", "2027-03-01T00:00:00Z"}};
  ASSERT_EQ(
      as_node(
          identity, "POST", "/node/v1/report",
          Json{{"content_url", "https://node1.larder.test:8445"}, {"certificates", {pki}}}.dump())
          .status,
      200);
  EXPECT_EQ(body_of(locate({{"package", "tool"}}))["nodes"][0]["trust"], "")
      << "the customer's CA is in the device's own store";
  clock.advance(std::chrono::minutes(2));
  EXPECT_TRUE(body_of(locate({{"package", "tool"}}))["nodes"].empty());
  EXPECT_EQ(locate({{"package", "none"}}).status, 404);
  EXPECT_EQ(with_proof(key, "/client/v1/locate", "{}").status, 401) << "no client token";
  EXPECT_EQ(with_proof(new_key(), "/client/v1/locate", "{}", client["client_token"]).status, 401)
      << "a stolen client token";
}

TEST_F(SiteTest, ContentNeedsTheTokensCertificate) {
  const auto key = new_key();
  const std::string id = body_of(register_device(key, registration_secret()))["client_id"];
  const std::string certificate = certificate_over(key);
  const std::string text = body_of(ask_token(key, certificate))["access_token"];
  publish("tool", "1.0", "0123456789");
  const auto get = [&](const std::string& token, const std::string& shown,
                       const std::string& range = {}) {
    RouteRequest request;
    request.method = "GET";
    request.path = "/content/tool/1.0/tool.bin";
    if (!token.empty()) request.fields.emplace_back("Authorization", "Bearer " + token);
    if (!range.empty()) request.fields.emplace_back("Range", range);
    request.peer.client_certificate = shown;
    return run(site->device_router(), std::move(request));
  };
  const Reply whole = get(text, certificate);
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.file_length, 10U);
  const Reply part = get(text, certificate, "bytes=2-4");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.file_offset, 2U);
  EXPECT_EQ(field(part, "Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(get(text, certificate, "bytes=10-").status, 416);
  const Reply anonymous = get("", "");
  EXPECT_EQ(anonymous.status, 401);
  EXPECT_TRUE(field(anonymous, "WWW-Authenticate").starts_with("Bearer realm=\"larder\""));
  EXPECT_EQ(get(text, "").status, 401);
  EXPECT_EQ(get(text, certificate_over(new_key())).status, 401);
  EXPECT_EQ(get(text + "x", certificate).status, 401);
  ASSERT_EQ(control("POST", "/api/v1/clients/" + id + "/block").status, 200);
  EXPECT_EQ(get(text, certificate).status, 401);
}

TEST_F(SiteTest, ReportsAreBoundedAndShownAsSums) {
  const std::string identity = joined();
  const auto report = [&](const Json& body) {
    return as_node(identity, "POST", "/node/v1/report", body.dump()).status;
  };
  EXPECT_EQ(report({{"counters", {{"hits", -1}}}}), 400);
  EXPECT_EQ(report({{"version", std::string(600, 'x')}}), 400);
  EXPECT_EQ(report({{"certificates", Json(std::vector<Json>(65, Json::object()))}}), 400);
  EXPECT_EQ(report(Json::array()), 400);
  const auto counters = [](std::uint64_t total, std::uint64_t origin) {
    return Json{{"bytes_total", total}, {"bytes_origin", origin}, {"bytes_hit", total - origin}};
  };
  const Json certificate{{"name", "web"},
                         {"source", "pki"},
                         {"state", "active"},
                         {"not_before", "2027-01-01T00:00:00Z"},
                         {"not_after", "2027-03-01T00:00:00Z"}};
  ASSERT_EQ(report({{"started_at", "a"}, {"counters", counters(100, 30)}}), 200);
  ASSERT_EQ(
      report(
          {{"started_at", "b"}, {"counters", counters(50, 10)}, {"certificates", {certificate}}}),
      200);
  const Json status = body_of(page("/api/v1/status", "127.0.0.1:8444"));
  EXPECT_EQ(status["bytes"]["total"], 150) << "a restart of the node loses nothing";
  EXPECT_EQ(status["bytes"]["saved"], 110);
  EXPECT_EQ(status["nodes"][0]["https"], "pki");
  EXPECT_EQ(status["nodes"][0]["online"], true);
  EXPECT_EQ(status["certificates"][0]["days_left"], 44);
  clock.advance(std::chrono::minutes(1));
  EXPECT_EQ(body_of(page("/api/v1/status", "localhost"))["nodes"][0]["online"], false);
}

TEST_F(SiteTest, ThePageAnswersOnlyToThisMachineAndRunsOnlyItsOwnScript) {
  const Reply reply = page("/", "localhost:8444");
  EXPECT_EQ(reply.status, 200);
  const std::string policy = field(reply, "Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(policy.find("script-src 'sha256-"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(page("/", "[::1]:8444").status, 200);
  for (const char* host : {"evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example",
                           "[::2]", "[::1]x", "[::1"}) {
    EXPECT_EQ(page("/", host).status, 403) << host;
    EXPECT_EQ(page("/api/v1/status", host).status, 403) << host;
  }
}

TEST_F(SiteTest, ChangesNeedTheControlSocket) {
  RouteRequest request;
  request.method = "PUT";
  request.path = "/api/v1/site/mode";
  request.body = R"({"mode":"https-only"})";
  EXPECT_EQ(run(site->control_router(), request).status, 403) << "no peer credentials";
  EXPECT_EQ(run(site->admin_router(), request).status, 404);
  EXPECT_EQ(run(site->device_router(), request).status, 404);
  EXPECT_EQ(run(site->pki_router(), request).status, 404);
}

TEST_F(SiteTest, StoppingEndsTheTimerAndTheLongPolls) {
  base::SystemClock machine;
  auto live = Site::open(make_settings(), machine);
  ASSERT_TRUE(live) << live.error().message;
  std::swap(site, *live);
  site->start();
  const std::string identity = joined();
  const auto sequence = body_of(changes(identity, 0))["sequence"].get<std::int64_t>();
  Reply reply;
  std::jthread poll([&] { reply = changes(identity, sequence, 50); });
  site->stop();
  poll.join();
  EXPECT_EQ(reply.status, 204);
  site->stop();
  std::swap(site, *live);
}

}  // namespace
}  // namespace larder::site
