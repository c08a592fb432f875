#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "content/manifest.h"
#include "crypto/digest.h"
#include "site/testing.h"
#include "token/jwk_set.h"
#include "token/token.h"

namespace larder::site {
namespace {

using base::Json;
using server::Reply;
using server::RouteRequest;

using Packages = SiteTest;

TEST_F(Packages, APublishedVersionIsSignedAndNeverChanges) {
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

TEST_F(Packages, LocationPrefersFreshNodesAndAlwaysHasAFallback) {
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

TEST_F(Packages, ContentNeedsTheTokensCertificate) {
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

}  // namespace
}  // namespace larder::site
