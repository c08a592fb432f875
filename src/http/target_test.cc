#include "http/target.h"

#include <gtest/gtest.h>

#include <string>

namespace larder::http {
namespace {

std::string authority_text(std::string_view text) {
  const auto authority = parse_authority(text);
  return authority ? authority->text() : "refused";
}

TEST(Authority, HasOneSpellingPerHost) {
  const std::pair<const char*, const char*> rows[] = {
      {"Example.ORG", "example.org"},
      {"example.org.", "example.org"},
      {"example.org:8080", "example.org:8080"},
      {"example.org:", "example.org"},
      {"example.org.:80", "example.org:80"},
      {"a_b.example", "a_b.example"},
      {"xn--bcher-kva.example", "xn--bcher-kva.example"},
      {"192.0.2.7:81", "192.0.2.7:81"},
      {"[2001:DB8:0:0::7]:443", "[2001:db8::7]:443"},
      {"[::FFFF:192.0.2.7]", "[::ffff:192.0.2.7]"},
      {"localhost", "localhost"},
      {"", "refused"},
      {".", "refused"},
      {"a..b", "refused"},
      {"a.b..", "refused"},
      {".a", "refused"},
      {"-a.b", "refused"},
      {"a-.b", "refused"},
      {"a b", "refused"},
      {"a/b", "refused"},
      {"a%2eb", "refused"},
      {"user@a", "refused"},
      {"user:pw@a", "refused"},
      {"a:0", "refused"},
      {"a:65536", "refused"},
      {"a:8x", "refused"},
      {"a:80:81", "refused"},
      {"b\xc3\xbc"
       "cher.example",
       "refused"},
      {"127.1", "refused"},
      {"2130706433", "refused"},
      {"0x7f000001", "refused"},
      {"0x7f.1", "refused"},
      {"127.0.0.01", "refused"},
      {"1.2.3.4.5", "refused"},
      {"256.1.1.1", "refused"},
      {"a.0x1", "refused"},
      {"2001:db8::7", "refused"},
      {"[2001:db8::7", "refused"},
      {"[2001:db8::7]x", "refused"},
      {"[fe80::1%25eth0]", "refused"},
      {"[192.0.2.7]", "refused"},
  };
  for (const auto& [input, expected] : rows) EXPECT_EQ(authority_text(input), expected) << input;
  EXPECT_EQ(authority_text(std::string(63, 'a') + ".b"), std::string(63, 'a') + ".b");
  EXPECT_EQ(authority_text(std::string(64, 'a') + ".b"), "refused");
  std::string longest;
  while (longest.size() < 252) longest += "a.";
  EXPECT_EQ(authority_text(longest + "b"), longest + "b");
  EXPECT_EQ(authority_text(longest + "bc"), "refused");
}

TEST(Authority, KnowsAddresses) {
  EXPECT_EQ(parse_authority("192.0.2.7")->kind(), Authority::Kind::Ipv4);
  EXPECT_EQ(parse_authority("[::1]")->kind(), Authority::Kind::Ipv6);
  EXPECT_FALSE(parse_authority("a.b")->is_address());
}

TEST(PercentDecode, DecodesOnceAndRefusesBadEscapes) {
  EXPECT_EQ(percent_decode("a%2Eb+c%2525", 100), "a.b+c%25");
  EXPECT_EQ(percent_decode("", 100), "");
  for (const char* text : {"%", "%4", "a%", "%4g", "%00", "%-1"}) {
    EXPECT_FALSE(percent_decode(text, 100)) << text;
  }
  EXPECT_TRUE(percent_decode("abc", 3));
  EXPECT_FALSE(percent_decode("abcd", 3));
}

class Hosts final : public HostDirectory {
 public:
  bool is_own(const Authority& authority) const override { return authority.host() == "node"; }
  bool is_origin(const Authority& authority) const override {
    return authority.host() == "origin.example" || authority.host() == "other.example";
  }
};

// "form host path?query", "local path" or the status of the refusal.
std::string choice_of(const std::string& target, const std::string& host,
                      const std::string& version = "1.1", const std::string& method = "GET") {
  const std::string text = method + " " + target + " HTTP/" + version + "\r\n" +
                           (host.empty() ? "" : "Host: " + host + "\r\n") + "\r\n";
  RequestHead head;
  const HeadParse parse = parse_request_head(text, head);
  if (parse.state != HeadParse::State::Complete) return "unparsed";
  std::string scratch;
  const OriginChoice choice = choose_origin(head, Hosts{}, scratch);
  const std::string where =
      std::string(choice.path) + (choice.has_query ? "?" + std::string(choice.query) : "");
  switch (choice.kind) {
    case OriginChoice::Kind::Origin:
      return std::string(name(choice.form)) + " " + choice.authority.text() + " " + where;
    case OriginChoice::Kind::Local:
      return "local " + where;
    case OriginChoice::Kind::Refuse:
      break;
  }
  return std::to_string(choice.status);
}

TEST(ChooseOrigin, TakesTheFormsInOrder) {
  struct Row {
    const char* target;
    const char* host;
    const char* expected;
  };
  const Row rows[] = {
      {"/a?x=1", "origin.example", "Host origin.example /a?x=1"},
      {"/a?", "origin.example", "Host origin.example /a?"},
      {"/a", "ORIGIN.example.:81", "Host origin.example:81 /a"},
      {"/a?cacheHostOrigin=origin.example", "node", "cacheHostOrigin origin.example /a"},
      {"/a?cachehostorigin=origin.example", "node", "cacheHostOrigin origin.example /a"},
      {"/a?x=1&cacheHostOrigin=origin.example", "node:8080",
       "cacheHostOrigin origin.example /a?x=1"},
      {"/a?cacheHostOrigin=origin.example&x=1", "192.0.2.7",
       "cacheHostOrigin origin.example /a?x=1"},
      {"/a?x=1&cacheHostOrigin=evil&y=%20&&cacheHostOrigin=Other.Example&z", "node",
       "cacheHostOrigin other.example /a?x=1&y=%20&&z"},
      {"/a?cacheHostOrigin=o%72igin%2eexample", "node", "cacheHostOrigin origin.example /a"},
      {"/a?cacheHostOrigin=origin.example%3A99", "node", "cacheHostOrigin origin.example:99 /a"},
      {"/a?cacheHostOrigin=o%2572igin.example", "node", "400"},
      {"/a?cacheHostOrigin=origin.example%00", "node", "400"},
      {"/a?cacheHostOrigin=origin.example&cacheHostOrigin=", "node", "400"},
      {"/a?cacheHostOrigin", "node", "400"},
      {"/a?cacheHostOrigin=u@origin.example", "node", "400"},
      {"/a?cacheHostOrigin=127.1", "node", "400"},
      {"/a?cacheHostOrigin=127.0.0.1", "node", "403"},
      {"/a?cacheHostOrigin=evil.example", "node", "403"},
      {"/a?cacheHostOrigin=node", "node", "403"},
      {"/a?cacheHostOrigin=other.example", "origin.example", "cacheHostOrigin other.example /a"},
      {"/a", "evil.example", "403"},
      {"/a", "evil/example", "400"},
      {"http://origin.example/a?b", "ignored.example", "absolute-form origin.example /a?b"},
      {"https://origin.example:8443", "origin.example", "absolute-form origin.example:8443 /"},
      {"http://origin.example/a?cacheHostOrigin=origin.example", "node", "400"},
      {"http://evil.example/a?cacheHostOrigin=origin.example", "node", "400"},
      {"http://evil.example/a", "origin.example", "403"},
      {"http://127.1/a", "origin.example", "400"},
      {"http://node/a?cacheHostOrigin=origin.example", "node", "cacheHostOrigin origin.example /a"},
      {"http://node/healthz", "origin.example", "local /healthz"},
      {"/healthz", "node", "local /healthz"},
      {"/content/p/1/f", "node", "local /content/p/1/f"},
      {"/.larder/pki/x.crl", "node", "local /.larder/pki/x.crl"},
      {"/.well-known/acme-challenge/t", "node", "local /.well-known/acme-challenge/t"},
      {"/healthz", "origin.example", "Host origin.example /healthz"},
      {"/content/f", "origin.example", "Host origin.example /content/f"},
      {"/content/f?cacheHostOrigin=origin.example", "node",
       "cacheHostOrigin origin.example /content/f"},
      {"/contents", "node", "404"},
      {"/", "node", "404"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(choice_of(row.target, row.host), row.expected) << row.target << " " << row.host;
  }
  EXPECT_EQ(choice_of("/healthz", "", "1.0"), "local /healthz");
  EXPECT_EQ(choice_of("/a", "", "1.0"), "404");
  EXPECT_EQ(choice_of("a:443", "node", "1.1", "CONNECT"), "405");
  EXPECT_EQ(choice_of("*", "node", "1.1", "OPTIONS"), "405");
}

TEST(CacheHostOrigin, LeavesAQueryWithoutTheParameterWhereItIs) {
  RequestHead head;
  const std::string text = "GET /a?x=1&y=2&cacheHostOrigin=o HTTP/1.1\r\nHost: n\r\n\r\n";
  ASSERT_EQ(parse_request_head(text, head).state, HeadParse::State::Complete);
  std::string scratch;
  const CacheHostOrigin parameter = take_cache_host_origin(head, scratch);
  EXPECT_EQ(parameter.query, "x=1&y=2");
  EXPECT_EQ(parameter.query.data(), head.query.data());
  EXPECT_TRUE(scratch.empty());
}

}  // namespace
}  // namespace larder::http
