#include "site/testing.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "client/bootstrap.h"
#include "crypto/certificate.h"
#include "crypto/issue.h"
#include "crypto/jws.h"
#include "crypto/request.h"
#include "net/loop.h"
#include "token/dpop.h"
#include "token/jwk_set.h"

namespace larder::site {

using base::Json;
using server::Reply;
using server::RouteRequest;

namespace {

std::string secret_of(const Reply& reply, std::string_view prefix) {
  const auto token = client::parse_bootstrap_token(body_of(reply).value("token", ""), prefix);
  EXPECT_TRUE(token) << reply.body;
  return token ? token->secret : std::string();
}

}  // namespace

crypto::PrivateKey new_key() {
  return crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
}

std::string request_for(const crypto::PrivateKey& key, const std::string& wish) {
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

void SiteTest::open() {
  site.reset();
  auto opened = Site::open(settings, clock);
  ASSERT_TRUE(opened) << opened.error().message;
  site = std::move(*opened);
}

SiteSettings settings_in(const std::string& state_dir) {
  SiteSettings made;
  made.name = "Example";
  made.state_dir = state_dir;
  made.public_url = kUrl;
  made.dns_suffixes = {"larder.test"};
  made.address_ranges = {"127.0.0.0/8"};
  return made;
}

Reply SiteTest::run(const server::Router& router, RouteRequest request) {
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

Reply SiteTest::control(const std::string& method, const std::string& path) const {
  return control(method, path, Json());
}

Reply SiteTest::control(const std::string& method, const std::string& path,
                        const Json& body) const {
  RouteRequest request;
  request.method = method;
  request.path = path;
  request.body = body.is_null() ? "" : body.dump();
  request.peer.credentials = server::Peer::Credentials{1000, 1000, 1};
  return run(site->control_router(), std::move(request));
}

std::string SiteTest::join_secret(const std::string& node,
                                  const std::vector<std::string>& names) const {
  return secret_of(control("POST", "/api/v1/join-tokens",
                           {{"node", node}, {"names", names}, {"addresses", {"127.0.0.1"}}}),
                   client::kJoinPrefix);
}

Reply SiteTest::join(const std::string& secret, const crypto::PrivateKey& key) const {
  RouteRequest request;
  request.method = "POST";
  request.path = "/node/v1/join";
  request.body = Json{{"token_secret", secret}, {"csr", request_for(key)}}.dump();
  return run(site->device_router(), std::move(request));
}

std::string SiteTest::joined(const std::string& node, const std::vector<std::string>& names) const {
  const Reply reply = join(join_secret(node, names), new_key());
  EXPECT_EQ(reply.status, 200) << reply.body;
  if (reply.status != 200) return {};
  return crypto::parse_certificates(body_of(reply)["certificate"].get<std::string>())
      .value()
      .front()
      .to_der();
}

Reply SiteTest::as_node(const std::string& identity, const std::string& method,
                        const std::string& path, const std::string& body,
                        const std::map<std::string, std::string>& query) const {
  RouteRequest request;
  request.method = method;
  request.path = path;
  request.body = body;
  request.query = query;
  request.peer.tls = true;
  request.peer.client_certificate = identity;
  return run(site->device_router(), std::move(request));
}

Reply SiteTest::changes(const std::string& identity, std::int64_t after, int wait) const {
  return as_node(identity, "GET", "/node/v1/changes", {},
                 {{"after", std::to_string(after)}, {"wait", std::to_string(wait)}});
}

Json SiteTest::snapshot(const std::string& identity) const {
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

std::string SiteTest::registration_secret(int uses) const {
  return secret_of(
      control("POST", "/api/v1/registration-tokens", {{"lifetime_seconds", 3600}, {"uses", uses}}),
      client::kRegisterPrefix);
}

Reply SiteTest::with_proof(const crypto::PrivateKey& key, const std::string& path,
                           const std::string& body, const std::string& access_token,
                           const std::string& url) const {
  std::string nonce;
  for (int attempt = 0;; ++attempt) {
    RouteRequest request;
    request.method = "POST";
    request.path = path;
    request.body = body;
    const std::string target = url + path;
    request.fields = {
        {"DPoP",
         token::make_dpop_proof(key, {"POST", target, access_token}, nonce, clock.wall()).value()}};
    if (!access_token.empty()) {
      request.fields.emplace_back("Authorization", "DPoP " + access_token);
    }
    Reply reply = run(site->device_router(), std::move(request));
    if (attempt == 1 || body_of(reply).value("error", "") != "use_dpop_nonce") return reply;
    nonce = field(reply, "DPoP-Nonce");
  }
}

Reply SiteTest::register_device(const crypto::PrivateKey& key, const std::string& secret,
                                const std::string& hardware) const {
  return with_proof(
      key, "/client/v1/register",
      Json{{"registration_secret", secret}, {"name", "pc"}, {"hardware_id", hardware}}.dump());
}

std::string SiteTest::certificate_over(const crypto::PrivateKey& key) const {
  return crypto::make_client_certificate(key, "pc", clock.wall() - std::chrono::hours(1),
                                         clock.wall() + std::chrono::days(400))
      .value()
      .to_der();
}

Reply SiteTest::ask_token(const crypto::PrivateKey& key, const std::string& certificate) const {
  return with_proof(key, "/oauth2/token",
                    "grant_type=client_credentials&scope=content&client_certificate=" +
                        base::to_base64url(base::as_bytes(certificate)));
}

void SiteTest::publish(const std::string& package, const std::string& version,
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

Reply SiteTest::page(const std::string& path, const std::string& host) const {
  RouteRequest request;
  request.method = "GET";
  request.path = path;
  request.fields = {{"Host", host}};
  return run(site->admin_router(), std::move(request));
}

}  // namespace larder::site
