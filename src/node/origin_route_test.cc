#include "node/origin_route.h"

#include <gtest/gtest.h>

#include <optional>

namespace larder::node {
namespace {

class OriginRoute : public testing::Test {
 protected:
  OriginRoute() {
    auto parsed = parse_node_settings(
        "[node]\nname = \"n\"\nproxy = \"http://proxy.test\"\n"
        "no_proxy = [\"*.inside.test\", \"exact.test\", \"10.0.0.0/8\", \"fd00::/8\"]\n"
        "[[origin]]\nname = \"same\"\nhosts = [\"a.test\", \"b.test\", \"x.inside.test\"]\n"
        "[[origin]]\nname = \"plain\"\nhosts = [\"plain.test\"]\nscheme = \"http\"\n"
        "[[origin]]\nname = \"tls\"\nhosts = [\"tls.test\"]\nscheme = \"https\"\n"
        "[[origin]]\nname = \"fixed\"\nhosts = [\"fixed.test\"]\nurl = \"http://10.0.0.5:8080\"\n"
        "allow_addresses = [\"10.0.0.0/8\"]\nca_file = \"/ca.pem\"\n",
        "larder.toml");
    EXPECT_TRUE(parsed) << parsed.error().message;
    settings_ = std::move(*parsed);
    hosts_.emplace(settings_);
    hop_.host = "a.test";
    hop_.target = "/b/c?d";
    hop_.fields = {{"Accept", "*/*"}, {"authorization", "Basic x"}, {"Cookie", "y"}};
  }

  // Where the redirect is followed to; else "passed: " and the Location that the client gets.
  std::string follow(const std::string& location, bool https = false) {
    http::ResponseHead head;
    head.status = 302;
    head.fields.push_back({"Location", location, http::FieldName::Location});
    const RedirectDecision decision =
        judge_redirect(hop_, head, https, *hosts_, settings_.no_proxy);
    judged_ = decision.hop;
    EXPECT_EQ(judged_.status, 302);
    EXPECT_EQ(judged_.is_followed, decision.next.has_value());
    if (!decision.next) return "passed: " + head.fields[0].value;
    next_ = *decision.next;
    return (next_.https ? "https://" : "http://") + next_.host + next_.target;
  }

  NodeSettings settings_;
  std::optional<HostTable> hosts_;
  client::OriginFetch hop_;
  client::OriginFetch next_;
  RedirectHop judged_;
};

TEST_F(OriginRoute, RedirectsAreFollowedInsideTheAllowList) {
  EXPECT_EQ(follow("http://b.test/x?y#z"), "http://b.test/x?y");
  EXPECT_EQ(next_.fields.size(), 1U) << "credentials are for the host that was asked";
  EXPECT_EQ(follow("../e"), "http://a.test/e");
  EXPECT_EQ(next_.fields.size(), 3U);
  EXPECT_EQ(follow("https://b.test/x"), "https://b.test/x") << "better than what was asked";
  EXPECT_EQ(follow("http://tls.test/x"), "https://tls.test/x");
  EXPECT_EQ(follow("http://fixed.test/x"), "http://fixed.test/x");
  ASSERT_TRUE(next_.connect_to);
  EXPECT_EQ(next_.connect_to->first, "10.0.0.5");
  EXPECT_EQ(next_.addresses.allowed.size(), 1U);
  EXPECT_EQ(next_.ca_file, "/ca.pem");
}

TEST_F(OriginRoute, OtherRedirectsAreTheAnswer) {
  EXPECT_EQ(follow("http://evil.test/x"), "passed: http://evil.test/x");
  EXPECT_EQ(follow("http://a.test.evil.test/x"), "passed: http://a.test.evil.test/x");
  EXPECT_EQ(follow("http://b.test:8080/x"), "passed: http://b.test:8080/x");
  EXPECT_EQ(follow("http://user@b.test/x"), "passed: http://user@b.test/x");
  EXPECT_EQ(follow("http://169.254.169.254/latest"), "passed: http://169.254.169.254/latest");
  EXPECT_EQ(follow("file:///etc/passwd"), "passed: file:///etc/passwd");
  EXPECT_EQ(follow(""), "passed: ");
  hop_.method = "POST";
  EXPECT_EQ(follow("http://b.test/x"), "passed: http://b.test/x");
}

TEST_F(OriginRoute, RedirectsNeverLeaveTls) {
  hop_.https = true;
  EXPECT_EQ(follow("https://b.test/x", true), "https://b.test/x");
  EXPECT_EQ(follow("http://b.test/x", true), "passed: http://b.test/x");
  EXPECT_EQ(follow("/x", true), "https://a.test/x");
  EXPECT_EQ(follow("https://plain.test/x", true), "passed: https://plain.test/x");
  EXPECT_EQ(follow("https://fixed.test/x", true), "passed: https://fixed.test/x");
  // A plain request whose first hop is https was no request for TLS.
  EXPECT_EQ(follow("http://b.test/x", false), "http://b.test/x");
}

TEST_F(OriginRoute, EachDecisionSaysWhereItLeadsAndWhy) {
  const auto told = [&](const std::string& location, bool https = false) {
    follow(location, https);
    return judged_.to + ": " + std::string(judged_.reason);
  };
  EXPECT_EQ(told("http://tls.test/x?sig=secret#z"), "https://tls.test/x?...: the host is allowed");
  EXPECT_EQ(told("http://evil.test/x?sig=secret"),
            "http://evil.test/x?...: no [[origin]] table and no profile lists the host");
  EXPECT_EQ(told("//b.test:8080/x"), "http://b.test:8080/x: the port is not the scheme's");
  EXPECT_EQ(told("ftp://b.test/x"), ": its Location is no address of a web server");
  hop_.https = true;
  EXPECT_EQ(told("http://b.test/x", true), "http://b.test/x: it leads from HTTPS to plain HTTP");
  hop_.method = "POST";
  EXPECT_EQ(told("http://b.test/x"), ": only GET and HEAD are followed");
}

TEST_F(OriginRoute, ProxyIsLeftOutWhereTheSettingSays) {
  const auto direct = [&](const char* host) {
    return goes_direct(host, *hosts_->find("a.test"), settings_.no_proxy);
  };
  EXPECT_FALSE(direct("a.test"));
  EXPECT_TRUE(direct("exact.test"));
  EXPECT_FALSE(direct("x.exact.test"));
  EXPECT_TRUE(direct("x.inside.test"));
  EXPECT_FALSE(direct("inside.test"));
  EXPECT_TRUE(direct("10.1.2.3"));
  EXPECT_TRUE(direct("[fd00::1]"));
  EXPECT_FALSE(direct("[2606:4700::1]"));
  EXPECT_TRUE(goes_direct("fixed.test", *hosts_->find("fixed.test"), settings_.no_proxy))
      << "by the place that the table names";
}

}  // namespace
}  // namespace larder::node
