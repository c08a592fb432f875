#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/encoding.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "site/testing.h"

namespace larder::site {
namespace {

using base::Json;
using server::Reply;
using server::RouteRequest;

using NodeRoutes = SiteTest;

TEST_F(NodeRoutes, ANodeGetsTheNamesOfItsTokenAndNotItsWishes) {
  const Reply reply = join(join_secret(), new_key());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json body = body_of(reply);
  EXPECT_EQ(body["names"], Json{"node1.larder.test"});
  const auto chain = crypto::parse_certificates(body["certificate"].get<std::string>()).value();
  EXPECT_EQ(chain[0].dns_names(), std::vector<std::string>{"node1.larder.test"});
  EXPECT_TRUE(chain[0].has_client_auth());
  EXPECT_FALSE(chain[0].has_server_auth());
}

TEST_F(NodeRoutes, AJoinTokenIsGoodForOneKeyOnly) {
  const std::string secret = join_secret();
  const auto key = new_key();
  EXPECT_EQ(join(secret, key).status, 200);
  EXPECT_EQ(join(secret, new_key()).status, 403);
  EXPECT_EQ(join(secret, key).status, 200) << "the same key again: its first answer was lost";
}

TEST_F(NodeRoutes, OfTwoNodesWithOneJoinTokenOnlyOneWins) {
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

TEST_F(NodeRoutes, AJoinTokenDiesAfterAnHourAndAnInventedOneNeverLived) {
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

TEST_F(NodeRoutes, JoinTokensForForeignOrTakenNamesAreRefused) {
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

TEST_F(NodeRoutes, ANodeThatJoinsAgainReplacesItsIdentity) {
  const std::string first = joined();
  const std::string second = joined();
  EXPECT_EQ(changes(first, 0).status, 401);
  EXPECT_EQ(changes(second, 0).status, 200);
  open();
  EXPECT_EQ(changes(first, 0).status, 401);
  EXPECT_EQ(changes(second, 0).status, 200);
}

TEST_F(NodeRoutes, NodeRoutesNeedAnIdentityOfThisSite) {
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

// DER of the first certificate of a chain in a reply.
std::string identity_in(const Reply& reply) {
  return crypto::parse_certificates(body_of(reply)["certificate"].get<std::string>())
      .value()
      .front()
      .to_der();
}

TEST_F(NodeRoutes, AnIdentityIsRenewedForItsOwnKeyAndTheOldOneStaysGood) {
  const auto key = new_key();
  const std::string first = identity_in(join(join_secret(), key));
  clock.advance(std::chrono::days(240));
  const Reply reply = as_node(first, "POST", "/node/v1/identity-certificate",
                              Json{{"csr", request_for(key)}}.dump());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const std::string second = identity_in(reply);
  EXPECT_EQ(changes(first, 0).status, 200);
  EXPECT_EQ(changes(second, 0).status, 200);
  clock.advance(std::chrono::days(200));
  open();
  EXPECT_EQ(changes(first, 0).status, 401) << "it has ended";
  EXPECT_EQ(changes(second, 0).status, 200) << "also after a restart";
}

TEST_F(NodeRoutes, AnIdentityIsNotRenewedForAnotherKey) {
  const std::string identity = joined();
  const Reply reply = as_node(identity, "POST", "/node/v1/identity-certificate",
                              Json{{"csr", request_for(new_key())}}.dump());
  EXPECT_EQ(reply.status, 403) << reply.body;
  EXPECT_EQ(as_node("", "POST", "/node/v1/identity-certificate", "{}").status, 401);
}

TEST_F(NodeRoutes, ANodeThatAsksForIdentitiesWithoutEndIsStopped) {
  const auto key = new_key();
  const std::string identity = identity_in(join(join_secret(), key));
  const std::string body = Json{{"csr", request_for(key)}}.dump();
  int status = 200;
  for (int i = 0; i < 10 && status == 200; ++i) {
    status = as_node(identity, "POST", "/node/v1/identity-certificate", body).status;
  }
  EXPECT_EQ(status, 429);
}

TEST_F(NodeRoutes, ANodeThatJoinsAgainReplacesItsRenewedIdentityToo) {
  const auto key = new_key();
  const std::string first = identity_in(join(join_secret(), key));
  const Reply reply = as_node(first, "POST", "/node/v1/identity-certificate",
                              Json{{"csr", request_for(key)}}.dump());
  ASSERT_EQ(reply.status, 200);
  (void)joined();
  EXPECT_EQ(changes(first, 0).status, 401);
  EXPECT_EQ(changes(identity_in(reply), 0).status, 401);
}

TEST_F(NodeRoutes, ARoleCertificateIsForServersAndEndsWithEnhancedMode) {
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

TEST_F(NodeRoutes, ANodeThatAsksForRoleCertificatesWithoutEndIsStopped) {
  const std::string identity = joined();
  const std::string body = Json{{"csr", request_for(new_key())}}.dump();
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(as_node(identity, "POST", "/node/v1/role-certificate", body).status, 200);
  }
  EXPECT_EQ(as_node(identity, "POST", "/node/v1/role-certificate", body).status, 429);
}

TEST_F(NodeRoutes, RevokedIdentitiesAreOnTheIssuersList) {
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

TEST_F(NodeRoutes, ALongPollAnswersAtOnceOnAChange) {
  const std::string identity = joined();
  const auto sequence = snapshot(identity)["sequence"].get<std::int64_t>();
  EXPECT_EQ(changes(identity, sequence).status, 204);
  EXPECT_EQ(changes(identity, -1).status, 400);
  // A clock that stands still would let the wait end at once: this one is the machine's.
  base::SystemClock machine;
  auto live = Site::open(settings_in(folder.path("other")), machine);
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

TEST_F(NodeRoutes, ReportsAreBoundedAndShownAsSums) {
  const std::string identity = joined();
  const auto report = [&](const Json& body) {
    return as_node(identity, "POST", "/node/v1/report", body.dump()).status;
  };
  EXPECT_EQ(report({{"counters", {{"hits", -1}}}}), 400);
  EXPECT_EQ(report({{"version", std::string(600, 'x')}}), 400);
  EXPECT_EQ(report({{"certificates", Json(std::vector<Json>(65, Json::object()))}}), 400);
  EXPECT_EQ(report(Json::array()), 400);
  const auto counters = [](std::uint64_t hit, std::uint64_t origin) {
    return Json{
        {"bytes_hit", hit}, {"bytes_miss", 20}, {"bytes_origin", origin}, {"bytes_content", 5}};
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
  EXPECT_EQ(status["bytes"]["delivered"], 200) << "a restart of the node loses nothing";
  EXPECT_EQ(status["bytes"]["saved"], 150);
  EXPECT_EQ(status["nodes"][0]["https"], "pki");
  EXPECT_EQ(status["nodes"][0]["online"], true);
  EXPECT_EQ(status["certificates"][0]["days_left"], 44);
  clock.advance(std::chrono::minutes(1));
  EXPECT_EQ(body_of(page("/api/v1/status", "localhost"))["nodes"][0]["online"], false);
}

}  // namespace
}  // namespace larder::site
