#include "site/site.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "db/database.h"
#include "site/testing.h"

namespace larder::site {
namespace {

using base::Json;
using server::Reply;
using server::RouteRequest;

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
    SiteSettings wrong = settings_in(folder.path("other"));
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

TEST_F(SiteTest, SecretsAreNotInTheDatabase) {
  const std::string secrets[] = {join_secret(), registration_secret()};
  site.reset();
  std::ifstream file(settings.state_dir + "/site.db", std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  ASSERT_GT(all.size(), 4096U);
  for (const std::string& secret : secrets) EXPECT_EQ(all.find(secret), std::string::npos);
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
  auto live = Site::open(settings_in(folder.path("other")), machine);
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
