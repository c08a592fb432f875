#include "signers/acme_signer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/testing.h"
#include "crypto/issue.h"
#include "crypto/request.h"
#include "signers/kept_order.h"
#include "signers/testing.h"

namespace larder::signers {
namespace {

using base::ErrorCode;
using base::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AcmeServerInMemory;

const base::WallTime kNow = base::from_unix_seconds(1'800'000'000);

// Says what was open when.
class Responder final : public ChallengeResponder {
 public:
  base::Result<std::shared_ptr<void>> open(AcmeProofKind kind, const AcmeIdentifier& identifier,
                                           const std::string& token,
                                           const std::string& key_authorization) override {
    EXPECT_TRUE(key_authorization.starts_with(token + "."));
    if (taken_for > 0) {
      --taken_for;
      return base::fail(ErrorCode::AlreadyExists, "another challenge is open");
    }
    opened.push_back(std::string(kind == AcmeProofKind::Http01 ? "http " : "tls ") +
                     identifier.value + " " + token);
    ++open_now;
    return std::shared_ptr<void>(this, [this](void*) { --open_now; });
  }
  std::vector<std::string> opened;
  int open_now = 0;
  int taken_for = 0;  // so many times somebody else's proof stands in the way
};

std::string chain_of(const std::string& issuer) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  crypto::CertificateTemplate about;
  about.subject.common_name = issuer;
  about.not_before = kNow - seconds(1);
  about.not_after = kNow + std::chrono::hours(24);
  about.is_ca = true;
  return crypto::issue_self_signed(about, key).value().to_pem();
}

class AcmeSignerTest : public base::FolderTest {
 protected:
  AcmeSignerTest() {
    settings_.server.directory = url("/directory");
    settings_.server.folder = path("acme");
    settings_.timeout = seconds(600);
    settings_.order_file = path("order.json");
    server_.answers["/account"] = {
        AcmeServerInMemory::json(201, {{"status", "valid"}}, {{"Location", url("/account/7")}})};
    server_.answers["/order"] = {order("pending", true)};
    server_.answers["/order/1"] = {order("ready"), order("processing"), order("valid")};
    server_.answers["/proof"] = {authorization("pending"), authorization("pending"),
                                 authorization("valid")};
    server_.answers["/challenge"] = {AcmeServerInMemory::json(200, {{"status", "pending"}})};
    server_.answers["/finalize"] = {order("processing")};
    server_.answers["/certificate"] = {{.status = 200, .fields = {}, .body = chain_}};
  }

  static std::string url(const std::string& path) { return AcmeServerInMemory::url(path); }
  static client::HttpResponse order(const std::string& status, bool is_new = false) {
    client::HttpResponse answer =
        AcmeServerInMemory::json(is_new ? 201 : 200, {{"status", status},
                                                      {"authorizations", {url("/proof")}},
                                                      {"finalize", url("/finalize")},
                                                      {"certificate", url("/certificate")}});
    if (is_new) answer.fields.emplace_back("Location", url("/order/1"));
    return answer;
  }
  static client::HttpResponse authorization(const std::string& status,
                                            const std::string& name = "a.example.org") {
    Json challenges = Json::array();
    for (const char* type : {"http-01", "tls-alpn-01"}) {
      challenges.push_back({{"type", type}, {"url", url("/challenge")}, {"token", type}});
    }
    return AcmeServerInMemory::json(200, {{"status", status},
                                          {"identifier", {{"type", "dns"}, {"value", name}}},
                                          {"challenges", challenges}});
  }
  static std::string request_for(const crypto::AlternativeNames& names) {
    const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
    return crypto::CertificateRequest::create(key, {}, names).value().to_pem();
  }

  AcmeSigner signer() {
    return {settings_,
            [this](const client::HttpRequest& request) -> base::Result<client::HttpResponse> {
              if (request.url == url("/challenge")) open_when_told_ = responder_.open_now;
              if (lost_when_waiting_ > 0 && waited_ > milliseconds(0)) {
                --lost_when_waiting_;
                return base::fail(ErrorCode::Unavailable, "reset by peer");
              }
              return server_.perform(request);
            },
            [this](milliseconds time) {
              waited_ += time;
              clock_.advance(time);
              return !is_stopping_;
            },
            responder_, clock_};
  }
  base::Result<std::string> sign(const crypto::AlternativeNames& names = {
                                     .dns = {"a.example.org"}}) {
    return signer().sign(request_for(names));
  }

  const std::string chain_ = chain_of("First");
  base::ManualClock clock_{kNow};
  AcmeServerInMemory server_;
  Responder responder_;
  AcmeSettings settings_;
  milliseconds waited_{0};
  bool is_stopping_ = false;
  int open_when_told_ = 0;
  int lost_when_waiting_ = 0;
};

TEST_F(AcmeSignerTest, OrdersProvesFinalizesAndFetches) {
  const auto chain = sign();
  ASSERT_TRUE(chain) << chain.error().message;
  EXPECT_EQ(*chain, chain_);
  EXPECT_EQ(responder_.opened, std::vector<std::string>{"http a.example.org http-01"});
  EXPECT_EQ(open_when_told_, 1) << "the host answers before the server is told";
  EXPECT_EQ(responder_.open_now, 0) << "and no longer than it has to";
  for (const auto& [path, times] :
       {std::pair{"/order", 1U}, std::pair{"/proof", 3U}, std::pair{"/challenge", 1U},
        std::pair{"/finalize", 1U}, std::pair{"/certificate", 1U}}) {
    EXPECT_EQ(server_.count(path), times) << path;
  }
}

TEST_F(AcmeSignerTest, OrdersAllNamesOfTheRequestAndNothingElse) {
  const auto chain = sign({.dns = {"a.example.org", "b.example.org"}, .addresses = {"192.0.2.7"}});
  ASSERT_TRUE(chain) << chain.error().message;
  const auto ordered = std::ranges::find(server_.asked, "/order", &testing::SignedRequest::path);
  EXPECT_EQ(Json::parse(ordered->payload)["identifiers"],
            Json::parse(R"([{"type":"dns","value":"a.example.org"},
                            {"type":"dns","value":"b.example.org"},
                            {"type":"ip","value":"192.0.2.7"}])"));
}

TEST_F(AcmeSignerTest, RefusesNamesThatCannotBeProvedBeforeAnybodyIsAsked) {
  std::vector<std::string> many(kAcmeNamesLimit + 1);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = "n" + std::to_string(i) + ".example.org";
  for (const crypto::AlternativeNames& names :
       {crypto::AlternativeNames{.dns = {"*.example.org"}},
        crypto::AlternativeNames{.dns = {"a.example.org"}, .uris = {"https://a.example.org/"}},
        crypto::AlternativeNames{.dns = {"a.example.org"}, .emails = {"a@example.org"}},
        crypto::AlternativeNames{.dns = many}}) {
    const auto refused = sign(names);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
  }
  EXPECT_TRUE(server_.requests.empty());
}

TEST_F(AcmeSignerTest, ProvesOnlyWhatItHasOrdered) {
  server_.answers["/proof"] = {authorization("pending", "other.example.org")};
  EXPECT_EQ(sign().error().code, ErrorCode::InvalidArgument);
  EXPECT_TRUE(responder_.opened.empty());
  server_.answers["/order"] = {order("pending", true)};
  server_.answers["/proof"] = {authorization("pending", "A.Example.ORG"),
                               authorization("valid", "A.Example.ORG")};
  EXPECT_TRUE(sign()) << "names have no case";
}

TEST_F(AcmeSignerTest, WhatWasProvedBeforeIsNotProvedAgain) {
  server_.answers["/proof"] = {authorization("valid")};
  EXPECT_TRUE(sign());
  EXPECT_TRUE(responder_.opened.empty());
  EXPECT_EQ(server_.count("/challenge"), 0U);
}

TEST_F(AcmeSignerTest, TakesTheKindOfProofThatIsSet) {
  settings_.proof = AcmeProofKind::TlsAlpn01;
  EXPECT_TRUE(sign());
  EXPECT_EQ(responder_.opened, std::vector<std::string>{"tls a.example.org tls-alpn-01"});
}

TEST_F(AcmeSignerTest, OneLostAnswerDoesNotLoseTheOrder) {
  lost_when_waiting_ = 2;
  EXPECT_TRUE(sign());
  EXPECT_EQ(lost_when_waiting_, 0);
}

TEST_F(AcmeSignerTest, WaitsAsLongAsTheServerWantsWithinItsTimeout) {
  server_.answers["/proof"] = {authorization("pending")};
  server_.answers["/proof"].front().fields.emplace_back("Retry-After", "3600");
  settings_.timeout = seconds(90);
  const auto late = sign();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::DeadlineExceeded);
  EXPECT_EQ(waited_, seconds(90)) << "a minute at most between two looks, and not beyond the end";
  EXPECT_EQ(server_.count("/proof"), 3U);
}

TEST_F(AcmeSignerTest, EndsWhenTheNodeStops) {
  is_stopping_ = true;
  const auto stopped = sign();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().message, "the node is stopping");
  EXPECT_EQ(responder_.open_now, 0);
}

TEST_F(AcmeSignerTest, GoesOnWithAnOrderThatWasBegunForTheSameRequestOnly) {
  const std::string request = request_for({.dns = {"a.example.org"}});
  server_.answers["/order/1"].push_front(order("pending"));
  is_stopping_ = true;
  EXPECT_FALSE(signer().sign(request));
  is_stopping_ = false;
  ASSERT_TRUE(signer().sign(request));
  EXPECT_EQ(server_.count("/order"), 1U);
  EXPECT_TRUE(sign());
  EXPECT_EQ(server_.count("/order"), 2U) << "for another request";
}

TEST_F(AcmeSignerTest, OrderThatFailsTwiceIsForgottenWhateverItWas) {
  const auto failing_at = [&](const std::string& path) {
    server_.answers["/order"] = {order("pending", true)};
    server_.answers["/order/1"] = {order("pending"), order("ready"), order("valid")};
    server_.answers["/proof"] = {authorization("pending"), authorization("valid")};
    server_.answers["/finalize"] = {order("processing")};
    server_.answers["/certificate"] = {{.status = 200, .fields = {}, .body = chain_}};
    server_.answers[path] = {AcmeServerInMemory::problem(503, "serverInternal")};
    settings_.timeout = seconds(20);
  };
  for (const char* const path : {"/order/1", "/proof", "/finalize", "/certificate"}) {
    const std::string request = request_for({.dns = {"a.example.org"}});
    const std::size_t before = server_.count("/order");
    failing_at(path);
    EXPECT_FALSE(signer().sign(request)) << path;
    EXPECT_TRUE(read_kept_order(settings_.order_file)) << path;
    failing_at(path);
    EXPECT_FALSE(signer().sign(request)) << path;
    EXPECT_FALSE(read_kept_order(settings_.order_file)) << path;
    EXPECT_EQ(server_.count("/order"), before + 1) << path;
    failing_at("/nowhere");
    EXPECT_TRUE(signer().sign(request)) << path;
    EXPECT_EQ(server_.count("/order"), before + 2) << path;
    signer().settle();
  }
}

TEST_F(AcmeSignerTest, NeitherALimitOfTheRateNorAStopIsAFailureOfTheOrder) {
  const std::string request = request_for({.dns = {"a.example.org"}});
  server_.answers["/order/1"] = {order("pending")};
  for (const int status : {429, 403}) {
    server_.answers["/proof"] = {AcmeServerInMemory::problem(status, "rateLimited")};
    for (int attempt = 0; attempt < 3; ++attempt) {
      EXPECT_EQ(signer().sign(request).error().code, ErrorCode::ResourceExhausted);
    }
  }
  server_.answers["/proof"] = {authorization("pending")};
  is_stopping_ = true;
  for (int attempt = 0; attempt < 3; ++attempt) EXPECT_FALSE(signer().sign(request));
  ASSERT_TRUE(read_kept_order(settings_.order_file));
  EXPECT_FALSE(read_kept_order(settings_.order_file)->has_failed);
  EXPECT_EQ(server_.count("/order"), 1U);
}

TEST_F(AcmeSignerTest, OrderWithoutTheKindOfProofThatIsSetIsForgottenAtOnce) {
  server_.answers["/proof"] = {AcmeServerInMemory::json(
      200,
      {{"status", "pending"},
       {"identifier", {{"type", "dns"}, {"value", "a.example.org"}}},
       {"challenges", {{{"type", "dns-01"}, {"url", url("/challenge")}, {"token", "dns-01"}}}}})};
  EXPECT_EQ(sign().error().code, ErrorCode::FailedPrecondition);
  EXPECT_FALSE(read_kept_order(settings_.order_file));
}

TEST_F(AcmeSignerTest, WaitsWhileAnotherSignerProvesTheSameName) {
  responder_.taken_for = 3;
  EXPECT_TRUE(sign());
  EXPECT_EQ(responder_.opened.size(), 1U);

  server_.answers["/order"] = {order("pending", true)};
  server_.answers["/proof"] = {authorization("pending")};
  settings_.timeout = seconds(30);
  responder_.taken_for = 1000;
  waited_ = milliseconds(0);
  const auto late = sign();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::DeadlineExceeded);
  EXPECT_NE(late.error().message.find("another challenge is open"), std::string::npos);
  EXPECT_EQ(waited_, settings_.timeout);

  is_stopping_ = true;
  EXPECT_EQ(sign().error().message, "the node is stopping");
  EXPECT_EQ(responder_.opened.size(), 1U);
}

TEST_F(AcmeSignerTest, KeepsTheServersWishToWaitUpToADay) {
  server_.answers["/order"] = {AcmeServerInMemory::problem(429, "rateLimited")};
  for (const auto& [said, kept] : {std::pair{"7200", 7200}, std::pair{"604800", 86400}}) {
    server_.answers["/order"].front().fields = {{"Retry-After", said}};
    auto limited = signer();
    EXPECT_FALSE(limited.sign(request_for({.dns = {"a.example.org"}})));
    EXPECT_EQ(limited.asked_to_wait(), seconds(kept));
  }
}

TEST_F(AcmeSignerTest, TakesTheChainThatIsPreferredWhereItIsOffered) {
  const std::string other = chain_of("Second");
  server_.answers["/certificate"].front().fields = {
      {"Link", "<" + url("/certificate/2") + ">;rel=\"alternate\""}};
  server_.answers["/certificate/2"] = {{.status = 200, .fields = {}, .body = other}};
  const auto taken = [&](const std::string& preferred) {
    server_.answers["/order/1"] = {order("ready"), order("valid")};
    settings_.preferred_chain = preferred;
    return sign().value_or("refused");
  };
  EXPECT_EQ(taken("Second"), other);
  EXPECT_EQ(taken("First"), chain_);
  EXPECT_EQ(taken("Nobody"), chain_);
}

}  // namespace
}  // namespace larder::signers
