#include "client/bootstrap.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "crypto/issue.h"

namespace larder::client {
namespace {

using base::ErrorCode;

BootstrapToken sample_token() {
  return {.url = "https://site.example.org:8443",
          .root_sha256 = std::string(64, 'a'),
          .secret = base::to_base64url(base::as_bytes(std::string(32, 'k')))};
}

TEST(BootstrapToken, RoundTrips) {
  const auto text = format_bootstrap_token(sample_token(), kJoinPrefix);
  const auto token = parse_bootstrap_token(" " + text + "\n", kJoinPrefix);
  ASSERT_TRUE(token) << token.error().message;
  EXPECT_EQ(token->url, "https://site.example.org:8443");
  EXPECT_EQ(token->root_sha256, std::string(64, 'a'));
  EXPECT_EQ(token->secret, sample_token().secret);
}

TEST(BootstrapToken, IsRefusedWhenCutForAnotherPurposeOrMalformed) {
  const auto text = format_bootstrap_token(sample_token(), kJoinPrefix);
  EXPECT_FALSE(parse_bootstrap_token(text, kRegisterPrefix));
  EXPECT_FALSE(parse_bootstrap_token(text.substr(0, text.size() - 8), kJoinPrefix));
  EXPECT_FALSE(parse_bootstrap_token("", kJoinPrefix));
  EXPECT_FALSE(parse_bootstrap_token("larder-join.!!", kJoinPrefix));
  EXPECT_FALSE(parse_bootstrap_token(std::string(5000, 'a'), kJoinPrefix));
  const auto refuses = [](auto change) {
    auto token = sample_token();
    change(token);
    return !parse_bootstrap_token(format_bootstrap_token(token, kJoinPrefix), kJoinPrefix);
  };
  EXPECT_TRUE(refuses([](BootstrapToken& t) { t.url = "http://site.example.org"; }));
  EXPECT_TRUE(refuses([](BootstrapToken& t) { t.url += "/"; }));
  EXPECT_TRUE(refuses([](BootstrapToken& t) { t.root_sha256 = "abcd"; }));
  EXPECT_TRUE(refuses([](BootstrapToken& t) { t.secret = "c2hvcnQ"; }));
}

TEST(BootstrapToken, ErrorDoesNotQuoteTheSecret) {
  const auto text = format_bootstrap_token(sample_token(), kJoinPrefix);
  const auto refused = parse_bootstrap_token(text, kRegisterPrefix);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.find(text.substr(20)), std::string::npos);
}

TEST(PinnedRoot, IsBelievedOnlyWithTheRightDigest) {
  const auto key = crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
  const auto now = base::from_unix_seconds(1'790'000'000);
  const auto root =
      crypto::make_client_certificate(key, "root", now, now + std::chrono::hours(1)).value();
  auto token = sample_token();
  HttpResponse answer;
  answer.status = 200;
  answer.body = root.to_pem();
  HttpRequest asked;
  const HttpExchange exchange = [&](const HttpRequest& request) -> base::Result<HttpResponse> {
    asked = request;
    return answer;
  };
  EXPECT_EQ(fetch_pinned_root(exchange, token).error().code, ErrorCode::Unauthenticated);
  EXPECT_EQ(asked.url, "https://site.example.org:8443/.larder/pki/root.crt");
  EXPECT_TRUE(asked.pinned_fetch);
  EXPECT_TRUE(asked.fields.empty());
  token.root_sha256 = root.sha256_hex();
  EXPECT_EQ(fetch_pinned_root(exchange, token).value(), root.to_pem());
  answer.body = "not a certificate";
  EXPECT_EQ(fetch_pinned_root(exchange, token).error().code, ErrorCode::Unauthenticated);
  answer.status = 503;
  EXPECT_EQ(fetch_pinned_root(exchange, token).error().code, ErrorCode::Unavailable);
}

}  // namespace
}  // namespace larder::client
