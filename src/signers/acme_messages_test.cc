#include "signers/acme_messages.h"

#include <gtest/gtest.h>

namespace larder::signers {
namespace {

TEST(AcmeDirectory, IsReadWithItsConditions) {
  const auto directory = parse_acme_directory(
      R"({"newNonce":"https://a/n","newAccount":"https://a/a","newOrder":"https://a/o",
          "revokeCert":"https://a/r","meta":{"termsOfService":"https://a/t",
          "externalAccountRequired":true}})");
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(directory->new_order, "https://a/o");
  EXPECT_EQ(directory->terms, "https://a/t");
  EXPECT_TRUE(directory->needs_external_account);
}

TEST(AcmeDirectory, LeadsNowhereButToHttps) {
  for (const char* url :
       {"http://a/n", "https://", "https://a b", "file:///etc/passwd", "", "//a"}) {
    const std::string text = R"({"newNonce":")" + std::string(url) +
                             R"(","newAccount":"https://a/a","newOrder":"https://a/o"})";
    EXPECT_FALSE(parse_acme_directory(text)) << url;
  }
  EXPECT_FALSE(parse_acme_directory("[]"));
  EXPECT_FALSE(parse_acme_directory("<html>"));
}

TEST(AcmeProblem, IsShownWithoutControlsAndBounded) {
  const auto problem = parse_acme_problem(
      R"({"type":"urn:ietf:params:acme:error:rateLimited","detail":"too\u001b many\n"})");
  EXPECT_EQ(problem.text(), "rateLimited: too? many?");
  EXPECT_EQ(parse_acme_problem("<html>").text(), "no reason given");
  EXPECT_LT(parse_acme_problem(R"({"detail":")" + std::string(10'000, 'x') + R"("})").text().size(),
            400U);
}

TEST(AcmeOrder, IsReadWithItsParts) {
  const auto order = parse_acme_order(
      R"({"status":"valid","authorizations":["https://a/1","https://a/2"],
          "finalize":"https://a/f","certificate":"https://a/c"})");
  ASSERT_TRUE(order) << order.error().message;
  EXPECT_EQ(order->status, AcmeStatus::Valid);
  EXPECT_EQ(order->authorizations.size(), 2U);
  EXPECT_EQ(order->certificate, "https://a/c");
}

TEST(AcmeOrder, IsBounded) {
  std::string list;
  for (int i = 0; i < 101; ++i) list += (i > 0 ? "," : "") + std::string(R"("https://a/1")");
  EXPECT_FALSE(parse_acme_order(
      R"({"status":"pending","finalize":"https://a/f","authorizations":[)" + list + "]}"));
  EXPECT_FALSE(
      parse_acme_order(R"({"status":"odd","finalize":"https://a/f","authorizations":[]})"));
  EXPECT_FALSE(parse_acme_order(std::string(kAcmeAnswerLimit + 1, ' ')));
}

TEST(AcmeAuthorization, LeavesOutChallengesThatCannotBeUsed) {
  const auto authorization = parse_acme_authorization(
      R"({"status":"pending","identifier":{"type":"ip","value":"192.0.2.1"},"challenges":[
          {"type":"http-01","url":"https://a/1","token":"abc-_9"},
          {"type":"http-01","url":"https://a/1","token":"../../etc/passwd"},
          {"type":"http-01","url":"http://a/1","token":"abc"},
          {"type":"new-01"}, 7]})");
  ASSERT_TRUE(authorization) << authorization.error().message;
  EXPECT_TRUE(authorization->identifier.is_address);
  ASSERT_EQ(authorization->challenges.size(), 1U);
  EXPECT_EQ(authorization->challenges[0].token, "abc-_9");
}

TEST(AlternateLinks, AreThoseThatSaySo) {
  const HttpFields fields = {
      {"Link", R"(<https://a/dir>;rel="index")"},
      {"link", R"(<https://a/c/1>;rel="alternate", <https://a/c/2>; rel="alternate")"},
      {"Link", R"(<http://a/c/3>;rel="alternate")"},
      {"Link", "<<<"}};
  EXPECT_EQ(alternate_links(fields), (std::vector<std::string>{"https://a/c/1", "https://a/c/2"}));
}

TEST(Nonce, IsBase64url) {
  EXPECT_TRUE(is_acme_nonce("oFvnlFP1wIhRlYS2jTaXbA"));
  EXPECT_FALSE(is_acme_nonce(""));
  EXPECT_FALSE(is_acme_nonce("a b"));
  EXPECT_FALSE(is_acme_nonce(std::string(1000, 'a')));
}

}  // namespace
}  // namespace larder::signers
