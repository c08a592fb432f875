#include "node/request_target.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

namespace larder::node {
namespace {

constexpr std::array<std::uint8_t, 16> kSecret{};

class RequestTargetTest : public testing::Test {
 protected:
  void configure(const std::string& origins) {
    auto parsed = parse_node_settings(
        "[node]\nname = \"n\"\nhttp_listen = [\"0.0.0.0:9080\"]\n" + origins, "larder.toml");
    ASSERT_TRUE(parsed) << parsed.error().message;
    settings_ = std::move(*parsed);
    hosts_.emplace(settings_);
  }
  // The key of a request, or the status with which it is refused.
  std::string key(std::string_view target, std::string_view host, bool tls = false) {
    text_ = "GET " + std::string(target) + " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n";
    http::RequestHead head;
    EXPECT_EQ(http::parse_request_head(text_, head).state, http::HeadParse::State::Complete);
    resolve_target(head, tls, *hosts_, kSecret, target_);
    if (target_.choice.kind != http::OriginChoice::Kind::Origin)
      return std::to_string(target_.choice.status);
    std::string shown = target_.key_text;
    std::replace(shown.begin(), shown.end(), '\n', ' ');
    return shown;
  }

  NodeSettings settings_;
  std::optional<HostTable> hosts_;
  std::string text_;
  RequestTarget target_;
};

std::string origin(const std::string& rest) {
  return "[[origin]]\nname = \"o\"\nhosts = [\"a.test\", \"*.b.test\"]\n" + rest;
}

TEST_F(RequestTargetTest, SchemeIsTheClientsUnlessTheTableNamesOne) {
  configure(origin(""));
  EXPECT_EQ(key("/x", "a.test"), "http a.test /x");
  EXPECT_EQ(key("/x", "a.test", true), "https a.test /x");
  EXPECT_EQ(key("https://a.test/x", "a.test"), "https a.test /x");
  EXPECT_EQ(key("http://a.test/x", "a.test", true), "https a.test /x")
      << "over TLS nothing answers that came over HTTP, whatever the target says";
  configure(origin("scheme = \"http\"\n"));
  EXPECT_EQ(key("/x", "a.test", true), "http a.test /x");
  configure(origin("scheme = \"https\"\n"));
  EXPECT_EQ(key("/x", "a.test"), "https a.test /x");
  configure(origin("url = \"https://192.0.2.1:8443\"\n"));
  EXPECT_EQ(key("/x", "a.test"), "https a.test /x");
}

TEST_F(RequestTargetTest, OnlyWhereTheClientChoosesMayHttpsAnswerHttp) {
  const auto may = [&](const std::string& rest, bool tls) {
    configure(origin(rest));
    key("/x", "a.test", tls);
    return may_come_over_https(target_);
  };
  EXPECT_TRUE(may("", false));
  EXPECT_FALSE(may("", true));
  EXPECT_FALSE(may("scheme = \"http\"\n", false));
  EXPECT_FALSE(may("url = \"http://192.0.2.1\"\n", false));
  configure(origin(""));
  key("/x", "a.test");
  const store::Key plain = target_.key;
  set_scheme(target_, true, kSecret);
  EXPECT_EQ(target_.key_text, "https\na.test\n/x");
  EXPECT_FALSE(target_.key == plain);
  set_scheme(target_, false, kSecret);
  EXPECT_TRUE(target_.key == plain);
}

TEST_F(RequestTargetTest, AliasesShareAKeyAndKeepTheirHost) {
  configure(origin("aliases = [\"*.b.test = a.test\"]\n"));
  EXPECT_EQ(key("/x", "a.test"), "http a.test /x");
  EXPECT_EQ(key("/x", "cdn7.B.test."), "http a.test /x");
  EXPECT_EQ(target_.choice.authority.host(), "cdn7.b.test");
  EXPECT_EQ(key("/x?cacheHostOrigin=cdn7.b.test", "127.0.0.1"), "http a.test /x");
}

TEST_F(RequestTargetTest, PortsOfOtherServersAreRefused) {
  configure(origin(""));
  for (const char* good : {"a.test", "a.test:80", "a.test:443", "a.test:9080"})
    EXPECT_EQ(key("/x", good), "http a.test /x") << good;
  for (const char* bad : {"a.test:22", "a.test:8080", "a.test:81"})
    EXPECT_EQ(key("/x", bad), "403") << bad;
  EXPECT_EQ(key("/x?cacheHostOrigin=a.test:80", "127.0.0.1"), "http a.test /x");
  EXPECT_EQ(key("/x?cacheHostOrigin=a.test:9080", "127.0.0.1"), "403");
  EXPECT_EQ(key("/x?cacheHostOrigin=a.test%3a22", "127.0.0.1"), "403");
  EXPECT_EQ(key("http://a.test:80/x", "a.test"), "http a.test /x");
  EXPECT_EQ(key("http://a.test:443/x", "a.test"), "403");
  EXPECT_EQ(key("http://a.test:9080/x", "a.test"), "403");
  configure(origin("url = \"http://192.0.2.1:8080\"\n"));
  EXPECT_EQ(key("http://a.test:8080/x", "a.test"), "http a.test /x");
}

TEST_F(RequestTargetTest, KeyLeavesOutWhatTheTableSays) {
  configure(origin("public = true\nignore_query = [\"P1\"]\nsort_query = true\n"));
  EXPECT_EQ(key("/x?b=1&P1=s&a=2", "a.test"), "http a.test /x?a=2&b=1");
  EXPECT_TRUE(target_.policy.key_is_stripped);
  EXPECT_EQ(target_.choice.query, "b=1&P1=s&a=2") << "the origin gets what the client sent";
  EXPECT_EQ(key("/x?cacheHostOrigin=evil.test&a=1&CACHEHOSTORIGIN=a.test&cacheHostOrigin=a.test",
                "127.0.0.1"),
            "http a.test /x?a=1");
}

TEST_F(RequestTargetTest, PathIsNormalisedOnlyWhereTheTableSays) {
  configure(origin(""));
  EXPECT_EQ(key("/%7Ea%2fb", "a.test"), "http a.test /%7Ea%2fb");
  configure(origin("normalize_path = true\n"));
  EXPECT_EQ(key("/%7Ea%2fb/../c", "a.test"), "http a.test /~a%2Fb/../c");
  EXPECT_EQ(target_.choice.path, "/~a%2Fb/../c") << "the origin is asked for what is kept";
}

}  // namespace
}  // namespace larder::node
