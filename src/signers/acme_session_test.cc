#include "signers/acme_session.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/testing.h"
#include "signers/testing.h"

namespace larder::signers {
namespace {

using base::ErrorCode;
using base::Json;
using std::chrono::seconds;
using testing::AcmeServerInMemory;

class AcmeSessionTest : public base::FolderTest {
 protected:
  AcmeSessionTest() {
    server_.answers["/account"] = {
        AcmeServerInMemory::json(201, {{"status", "valid"}}, {{"Location", kAccount}})};
    server_.answers["/thing"] = {AcmeServerInMemory::json(200, {{"a", 1}})};
    about_.directory = AcmeServerInMemory::url("/directory");
    about_.folder = path("acme");
    about_.contact = {"mailto:admin@example.org"};
  }

  AcmeSession session(std::chrono::milliseconds timeout = seconds(60)) {
    return {about_, [this](const client::HttpRequest& request) { return server_.perform(request); },
            clock_, clock_.steady() + timeout};
  }

  // Of the last signed request.
  Json signed_header() const { return Json::parse(server_.asked.back().header); }

  static constexpr const char* kAccount = "https://acme.test/account/7";
  base::ManualClock clock_{base::from_unix_seconds(1'800'000'000)};
  AcmeServerInMemory server_;
  AcmeServer about_;
};

TEST_F(AcmeSessionTest, MakesKeyAndAccountOnceAndKeepsThem) {
  auto first = session();
  ASSERT_TRUE(first.open());
  ASSERT_EQ(server_.count("/account"), 1U);
  EXPECT_TRUE(signed_header().contains("jwk"));
  const Json made = Json::parse(server_.asked.back().payload);
  EXPECT_EQ(made["contact"], Json::array({"mailto:admin@example.org"}));
  EXPECT_FALSE(made.contains("externalAccountBinding"));
  struct stat about{};
  ASSERT_EQ(::stat(path("acme/account.key").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600U);

  auto second = session();
  ASSERT_TRUE(second.open());
  EXPECT_EQ(server_.count("/account"), 1U);
  ASSERT_TRUE(second.post(AcmeServerInMemory::url("/thing"), "{}"));
  EXPECT_EQ(signed_header()["kid"], kAccount);
  EXPECT_EQ(first.key_authorization("token").value(), second.key_authorization("token").value());
  EXPECT_TRUE(first.key_authorization("token")->starts_with("token."));
}

TEST_F(AcmeSessionTest, AnAccountOfAnotherServerIsNotUsed) {
  ASSERT_TRUE(session().open());
  about_.directory = AcmeServerInMemory::url("/other-directory");
  ASSERT_TRUE(session().open());
  EXPECT_EQ(server_.count("/account"), 2U);
  ASSERT_TRUE(base::write_file_atomically(path("acme/account.json"), "{\"format\":1", 0600));
  ASSERT_TRUE(session().open()) << "a file that cannot be read is made anew";
  EXPECT_EQ(server_.count("/account"), 3U);
}

TEST_F(AcmeSessionTest, AnAccountThatTheServerHasLostIsMadeAgain) {
  auto open = session();
  ASSERT_TRUE(open.open());
  server_.answers["/thing"].push_front(AcmeServerInMemory::problem(400, "accountDoesNotExist"));
  ASSERT_TRUE(open.post(AcmeServerInMemory::url("/thing"), "{}"));
  EXPECT_EQ(server_.count("/account"), 2U);
  EXPECT_EQ(server_.count("/thing"), 2U);
}

TEST_F(AcmeSessionTest, ARefusedNonceIsFollowedByAnotherTwentyTimes) {
  auto open = session();
  ASSERT_TRUE(open.open());
  server_.nonces_to_refuse = 19;
  EXPECT_TRUE(open.post(AcmeServerInMemory::url("/thing"), "{}"));
  server_.nonces_to_refuse = 1000;
  const auto refused = open.post(AcmeServerInMemory::url("/thing"), "{}");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Unavailable);
  EXPECT_EQ(server_.nonces_to_refuse, 980);
}

TEST_F(AcmeSessionTest, WithoutANonceNothingIsSent) {
  server_.gives_nonces = false;
  const auto opened = session().open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::Unavailable);
  EXPECT_TRUE(server_.asked.empty());
}

TEST_F(AcmeSessionTest, TermsAreAcceptedOnlyBySetting) {
  server_.meta = R"({"termsOfService":"https://acme.test/terms"})";
  const auto refused = session().open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::FailedPrecondition);
  EXPECT_NE(refused.error().message.find("https://acme.test/terms"), std::string::npos);
  EXPECT_EQ(server_.count("/account"), 0U);
  about_.accept_terms = true;
  ASSERT_TRUE(session().open());
  EXPECT_EQ(Json::parse(server_.asked.back().payload)["termsOfServiceAgreed"], true);
}

TEST_F(AcmeSessionTest, AnAccountMadeElsewhereIsBound) {
  server_.meta = R"({"externalAccountRequired":true})";
  EXPECT_EQ(session().open().error().code, ErrorCode::FailedPrecondition);
  about_.external_key_id = "customer-7";
  about_.external_key = std::string(32, 'k');
  ASSERT_TRUE(session().open());
  const Json binding = Json::parse(server_.asked.back().payload)["externalAccountBinding"];
  const Json header =
      Json::parse(base::from_base64url(binding["protected"].get<std::string>()).value());
  EXPECT_EQ(header["kid"], "customer-7");
  EXPECT_EQ(header["alg"], "HS256");
  EXPECT_EQ(header["url"], AcmeServerInMemory::url("/account"));
  const Json bound =
      Json::parse(base::from_base64url(binding["payload"].get<std::string>()).value());
  EXPECT_EQ(bound, signed_header()["jwk"]);
}

TEST_F(AcmeSessionTest, TheDeadlineEndsItWithoutAnotherRequest) {
  auto open = session(seconds(10));
  ASSERT_TRUE(open.open());
  const std::size_t before = server_.requests.size();
  clock_.advance(seconds(10));
  const auto late = open.post(AcmeServerInMemory::url("/thing"), "{}");
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::DeadlineExceeded);
  EXPECT_EQ(server_.requests.size(), before);
}

TEST_F(AcmeSessionTest, EveryRequestTrustsWhomItIsToldAndEndsInTime) {
  about_.trust = "PEM";
  auto open = session(seconds(7));
  ASSERT_TRUE(open.open());
  ASSERT_TRUE(open.post(AcmeServerInMemory::url("/thing"), ""));
  ASSERT_GE(server_.requests.size(), 3U);
  for (const client::HttpRequest& request : server_.requests) {
    EXPECT_EQ(request.trust, "PEM");
    EXPECT_LE(request.timeout, seconds(7));
    EXPECT_EQ(request.body_limit, kAcmeAnswerLimit);
  }
}

TEST_F(AcmeSessionTest, ErrorsSayWhatKindTheyAreAndWhenToComeBack) {
  auto open = session();
  ASSERT_TRUE(open.open());
  const auto code_of = [&](int status, const std::string& type) {
    server_.answers["/error"] = {AcmeServerInMemory::problem(status, type)};
    server_.answers["/error"].front().fields.emplace_back("Retry-After", "120");
    const auto answer = open.post(AcmeServerInMemory::url("/error?secret=x"), "{}");
    EXPECT_FALSE(answer);
    EXPECT_EQ(answer.error().message.find("secret"), std::string::npos);
    EXPECT_NE(answer.error().message.find(type), std::string::npos) << answer.error().message;
    EXPECT_EQ(open.retry_after(), seconds(120));
    return answer.error().code;
  };
  EXPECT_EQ(code_of(429, "rateLimited"), ErrorCode::ResourceExhausted);
  EXPECT_EQ(code_of(503, "serverInternal"), ErrorCode::Unavailable);
  EXPECT_EQ(code_of(403, "unauthorized"), ErrorCode::PermissionDenied);
  ASSERT_TRUE(open.post(AcmeServerInMemory::url("/thing"), "{}"));
  EXPECT_FALSE(open.retry_after());
}

}  // namespace
}  // namespace larder::signers
