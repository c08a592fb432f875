#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/encoding.h"
#include "crypto/digest.h"
#include "site/testing.h"
#include "token/dpop.h"
#include "token/jwk_set.h"
#include "token/token.h"

namespace larder::site {
namespace {

using base::Json;
using server::Reply;
using server::RouteRequest;

using ClientRoutes = SiteTest;

TEST_F(ClientRoutes, ADeviceRegistersOncePerKey) {
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

TEST_F(ClientRoutes, ARegistrationTokenWithOneUseLetsOneOfManyIn) {
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

TEST_F(ClientRoutes, RegistrationTokensHaveBounds) {
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

TEST_F(ClientRoutes, AKnownHardwareIdWithANewKeyIsShown) {
  const std::string secret = registration_secret();
  ASSERT_EQ(register_device(new_key(), secret, "serial-1").status, 200);
  ASSERT_EQ(register_device(new_key(), secret, "serial-1").status, 200);
  const Json clients = body_of(control("GET", "/api/v1/clients"))["clients"];
  ASSERT_EQ(clients.size(), 2U);
  EXPECT_NE(clients[0]["conflict"], clients[1]["conflict"]);
}

TEST_F(ClientRoutes, AContentTokenIsBoundToACertificateOverTheRegisteredKey) {
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

TEST_F(ClientRoutes, AClientTokenIsRenewedByTheRegisteredKeyAlone) {
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

TEST_F(ClientRoutes, TheTokenEndpointRefusesStrangersWrongFormsAndWrongProofs) {
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

TEST_F(ClientRoutes, AProofIsGoodOnce) {
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

TEST_F(ClientRoutes, ABlockedClientGetsNothingAndItsNodesKnow) {
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

}  // namespace
}  // namespace larder::site
