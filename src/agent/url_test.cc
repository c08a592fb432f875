#include "agent/url.h"

#include <gtest/gtest.h>

namespace larder::agent {
namespace {

std::string cached(const std::string& url, const std::string& host) {
  const auto result = through_cache(parse_url(url).value(), host);
  return result ? result->text() : "refused";
}

std::string followed(const std::string& url, const std::string& location) {
  const auto result = follow(parse_url(url).value(), location);
  return result ? result->text() : "refused";
}

TEST(Url, KeepsPathAndQueryByteForByte) {
  const auto url = parse_url("HTTP://Example.ORG:8080/a%20b/../c?x=%41&y#part");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->text(), "http://example.org:8080/a%20b/../c?x=%41&y");
  EXPECT_EQ(parse_url("https://h")->text(), "https://h/");
  EXPECT_EQ(parse_url("http://h?q")->text(), "http://h/?q");
  EXPECT_EQ(parse_url("http://[2001:DB8::1]:81/x")->host, "[2001:db8::1]");
}

TEST(Url, RefusesWhatIsNone) {
  for (const auto* text : {"", "example.org/x", "ftp://h/x", "file:///etc/passwd", "http://",
                           "http://user:pw@h/x", "http://h:port/", "http://h:123456/", "http://h /",
                           "http://h/a b", "http://h/a\r\nX: y", "http://[::1/x"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(Url, AsksACacheAsDeliveryOptimizationClientsDo) {
  EXPECT_EQ(cached("http://Origin.test/f.cab?P1=a%20b", "cache:8080"),
            "http://cache:8080/f.cab?P1=a%20b&cacheHostOrigin=origin.test");
  EXPECT_EQ(cached("https://origin.test/f", "Cache"),
            "https://cache/f?cacheHostOrigin=origin.test");
  EXPECT_EQ(cached("http://origin.test:81/f", "cache"),
            "http://cache:81/f?cacheHostOrigin=origin.test");
  EXPECT_EQ(cached("http://origin.test/f?cacheHostOrigin=other", "cache"),
            "http://cache/f?cacheHostOrigin=other&cacheHostOrigin=origin.test");
  for (const auto* host : {"", "http://cache", "a:80,b:80", "cache/path", "c c", "cache:"}) {
    EXPECT_EQ(cached("http://origin.test/f", host), "refused") << host;
  }
}

TEST(Url, FollowsRedirectsButNeverAwayFromTls) {
  EXPECT_EQ(followed("http://a/x/y?q", "https://b:8/z"), "https://b:8/z");
  EXPECT_EQ(followed("http://a:81/x/y?q", "/z?r"), "http://a:81/z?r");
  EXPECT_EQ(followed("http://a/x/y?q", "z"), "http://a/x/z");
  EXPECT_EQ(followed("https://a/x", "//b/z"), "https://b/z");
  EXPECT_EQ(followed("https://a/x", "http://a/x"), "refused");
  EXPECT_EQ(followed("https://a/x", "ftp://a/x"), "refused");
  EXPECT_EQ(followed("https://a/x", ""), "refused");
}

TEST(Url, NamesTheFile) {
  EXPECT_EQ(file_name_of(parse_url("http://h/a/b.deb?x=/y").value()), "b.deb");
  EXPECT_FALSE(file_name_of(parse_url("http://h/a/").value()));
  EXPECT_FALSE(file_name_of(parse_url("http://h/a/..").value()));
  EXPECT_FALSE(file_name_of(parse_url("http://h/.bashrc").value()));
}

}  // namespace
}  // namespace larder::agent
