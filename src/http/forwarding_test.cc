#include "http/forwarding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

namespace larder::http {
namespace {

std::string via_of(const std::string& lines) {
  const auto head = std::make_unique<RequestHead>();
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
  EXPECT_EQ(parse_request_head(text, *head).state, HeadParse::State::Complete) << lines;
  return via_to_origin(*head, "larder-0000000000000001");
}

TEST(Via, OwnNameIsTheLast) {
  EXPECT_EQ(via_of(""), "1.1 larder-0000000000000001");
  EXPECT_EQ(via_of("Via: 1.1 larder-00000000000000aa\r\nVia: 1.0 larder-00000000000000bb (x)\r\n"),
            "1.1 larder-00000000000000aa, 1.0 larder-00000000000000bb, "
            "1.1 larder-0000000000000001");
}

TEST(Via, OthersHaveNoName) {
  EXPECT_EQ(via_of("Via: HTTP/2 desk7.example.org:3128 (of Anna), 1.1 larder-ABCDEF0123456789\r\n"),
            "HTTP/2 proxy, 1.1 proxy, 1.1 larder-0000000000000001");
  EXPECT_EQ(via_of("Via: 1.1 a (one, two)\r\n"),
            "1.1 proxy, 1.1 proxy, 1.1 larder-0000000000000001");
}

TEST(Via, IsBounded) {
  std::string lines;
  for (int i = 0; i < 40; ++i) {
    lines += "Via: 1.1 larder-00000000000000" + std::to_string(10 + i) + "\r\n";
  }
  const std::string via = via_of(lines);
  EXPECT_TRUE(via.starts_with("1.1 larder-0000000000000034, ")) << via;
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(via, ',')), kMostViaMembers);
  EXPECT_EQ(via_of("Via: " + std::string(2000, '1') + " b\r\n"),
            "1.1 proxy, 1.1 larder-0000000000000001");
}

TEST(Via, NamesAreMadeAsTheyAreKnown) {
  EXPECT_EQ(via_name("0123456789abcdef0123456789abcdef"), "larder-0123456789abcdef");
}

TEST(Forwarding, PassThatSendsNoMoreThanItsFill) {
  const auto sends_as = [](const std::string& lines, Exchange fill) {
    const auto head = std::make_unique<RequestHead>();
    const std::string text = "HEAD / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n";
    parse_request_head(text, *head);
    return pass_sends_as_fill(*head, fill);
  };
  for (const Exchange fill : {Exchange::SharedFill, Exchange::DeclaredFill}) {
    EXPECT_TRUE(sends_as("User-Agent: a\r\nAccept: */*\r\nVia: 1.1 b\r\n", fill));
    EXPECT_FALSE(sends_as("Cookie: a=b\r\n", fill));
    EXPECT_FALSE(sends_as("Range: bytes=0-1\r\n", fill));
  }
  EXPECT_TRUE(sends_as("X-Flight: 7\r\n", Exchange::DeclaredFill));
  EXPECT_FALSE(sends_as("X-Flight: 7\r\n", Exchange::SharedFill));
}

}  // namespace
}  // namespace larder::http
