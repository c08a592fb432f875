#include "http/conditional.h"

#include <gtest/gtest.h>

#include <array>

#include "http/date.h"
#include "http/head_writer.h"

namespace larder::http {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1795300000);

std::string evaluate(const std::string& fields, bool as_origin = true,
                     const std::string& method = "GET") {
  const std::string text = method + " / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  RequestHead head;
  if (parse_request_head(text, head).state != HeadParse::State::Complete) return "unparsed";
  const Validators validators{.etag = "\"a\"", .last_modified = "Sun, 01 Nov 2026 10:00:00 GMT"};
  switch (evaluate_preconditions(head, validators, as_origin, kNow)) {
    case Precondition::Pass:
      return "pass";
    case Precondition::NotModified:
      return "304";
    case Precondition::Failed:
      break;
  }
  return "412";
}

constexpr const char* kBefore = "Sun, 01 Nov 2026 09:59:59 GMT";
constexpr const char* kSame = "Sun, 01 Nov 2026 10:00:00 GMT";

TEST(Preconditions, FollowThePrecedenceOfTheStandard) {
  const std::string before = kBefore;
  const std::string same = kSame;
  EXPECT_EQ(evaluate(""), "pass");
  EXPECT_EQ(evaluate("If-None-Match: \"a\"\r\n"), "304");
  EXPECT_EQ(evaluate("If-None-Match: W/\"a\"\r\n"), "304");
  EXPECT_EQ(evaluate("If-None-Match: \"x,y\", \"a\"\r\n"), "304");
  EXPECT_EQ(evaluate("If-None-Match: \"x\"\r\nIf-None-Match: \"a\"\r\n"), "304");
  EXPECT_EQ(evaluate("If-None-Match: *\r\n"), "304");
  EXPECT_EQ(evaluate("If-None-Match: \"b\"\r\n"), "pass");
  EXPECT_EQ(evaluate("If-None-Match: a\r\n"), "pass");
  EXPECT_EQ(evaluate("If-None-Match: \"b\" \"a\"\r\n"), "pass");
  EXPECT_EQ(evaluate("If-None-Match: \"a\r\n"), "pass");
  EXPECT_EQ(evaluate("If-None-Match: \"a\"\r\n", true, "PUT"), "412");
  EXPECT_EQ(evaluate("If-Modified-Since: " + same + "\r\n"), "304");
  EXPECT_EQ(evaluate("If-Modified-Since: " + before + "\r\n"), "pass");
  EXPECT_EQ(evaluate("If-Modified-Since: yesterday\r\n"), "pass");
  EXPECT_EQ(evaluate("If-Modified-Since: " + same + "\r\n", true, "POST"), "pass");
  EXPECT_EQ(evaluate("If-Modified-Since: " + same + "\r\nIf-None-Match: \"b\"\r\n"), "pass");
  EXPECT_EQ(evaluate("If-Modified-Since: " + same + "\r\nIf-Modified-Since: " + same + "\r\n"),
            "pass");
  EXPECT_EQ(evaluate("If-Match: \"b\"\r\n"), "412");
  EXPECT_EQ(evaluate("If-Match: \"a\"\r\n"), "pass");
  EXPECT_EQ(evaluate("If-Match: W/\"a\"\r\n"), "412");
  EXPECT_EQ(evaluate("If-Match: \"a\"\r\nIf-Unmodified-Since: " + before + "\r\n"), "pass");
  EXPECT_EQ(evaluate("If-Unmodified-Since: " + before + "\r\n"), "412");
  EXPECT_EQ(evaluate("If-Unmodified-Since: " + same + "\r\n"), "pass");
}

TEST(Preconditions, ACacheLeavesTheOriginsConditionsToIt) {
  EXPECT_EQ(evaluate("If-Match: \"b\"\r\n", false), "pass");
  EXPECT_EQ(evaluate(std::string("If-Unmodified-Since: ") + kBefore + "\r\n", false), "pass");
}

TEST(EntityTag, IsQuoted) {
  EXPECT_TRUE(parse_entity_tag("\"\""));
  EXPECT_TRUE(parse_entity_tag("W/\"a\"")->weak);
  for (const char* text :
       {"", "a", "\"a", "a\"", "w/\"a\"", "\"a b\"", "\"a\"b", "W/", "W/ \"a\""}) {
    EXPECT_FALSE(parse_entity_tag(text)) << text;
  }
}

TEST(Date, ReadsTheThreeFormsAndWritesOne) {
  const base::WallTime time = base::from_unix_seconds(784111777);
  EXPECT_EQ(date_text(time), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow), time);
  EXPECT_EQ(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow), time);
  EXPECT_EQ(parse_date("Sun Nov  6 08:49:37 1994", kNow), time);
  EXPECT_EQ(parse_date("Thu, 29 Feb 2024 00:00:00 GMT", kNow), base::from_unix_seconds(1709164800));
  for (std::int64_t seconds : {0LL, 951782400LL, 1709164799LL, 4102444800LL, -1LL}) {
    EXPECT_EQ(parse_date(date_text(base::from_unix_seconds(seconds)), kNow),
              base::from_unix_seconds(seconds));
  }
}

TEST(Date, PutsTwoDigitYearsAtMostFiftyYearsAhead) {
  EXPECT_EQ(date_text(*parse_date("Sunday, 06-Nov-70 08:49:37 GMT", kNow)),
            "Thu, 06 Nov 2070 08:49:37 GMT");
  EXPECT_EQ(date_text(*parse_date("Sunday, 06-Nov-77 08:49:37 GMT", kNow)),
            "Sun, 06 Nov 1977 08:49:37 GMT");
}

TEST(Date, ReadsNamesInAnyCase) {
  const auto time = parse_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow);
  ASSERT_TRUE(time);
  for (const char* text : {"SUN, 06 Nov 1994 08:49:37 GMT", "sun, 06 nov 1994 08:49:37 gMT",
                           "SUNDAY, 06-NOV-94 08:49:37 gmt", "sun nov  6 08:49:37 1994"}) {
    EXPECT_EQ(parse_date(text, kNow), time) << text;
  }
}

TEST(Date, RefusesEverythingElse) {
  for (const char* text : {"",
                           "0",
                           "-1",
                           "Sun, 06 Nov 1994 08:49:37",
                           "Sun, 06 Nov 1994 08:49:37 UTC",
                           "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:60:37 GMT",
                           "Sun, 31 Nov 1994 08:49:37 GMT",
                           "Thu, 29 Feb 2023 00:00:00 GMT",
                           "Thu, 18 Aug 50 02:01:18 GMT",
                           "Sun 06 Nov 1994 08:49:37 GMT",
                           "Sun, 06  Nov  1994 08:49:37 GMT",
                           "Sun, 06-Nov-1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 08.49.37 GMT",
                           "Sun, 06 Nov 1994 8:49:37 GMT",
                           "Sun, 6 Nov 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 08:49:37 GMT ",
                           "Xyz, 06 Nov 1994 08:49:37 GMT",
                           "Sun Nov 6 08:49:37 1994",
                           "Sun, 00 Nov 1994 08:49:37 GMT"}) {
    EXPECT_FALSE(parse_date(text, kNow)) << text;
  }
}

TEST(HeadWriter, WritesCanonicalLines) {
  std::array<char, 256> buffer{};
  HeadWriter head(buffer);
  head.status(206);
  head.field("Content-Length", std::uint64_t{5});
  head.content_range({.first = 0, .last = 4}, 10);
  head.content_range({.first = 0, .last = 4}, std::nullopt);
  head.unsatisfied_range(10);
  head.field("ETag", "\"a\"");
  EXPECT_TRUE(head.finish());
  EXPECT_EQ(head.text(),
            "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\n"
            "Content-Range: bytes 0-4/10\r\nContent-Range: bytes 0-4/*\r\n"
            "Content-Range: bytes */10\r\nETag: \"a\"\r\n\r\n");
}

TEST(HeadWriter, FailsOnSplittingAndOverflow) {
  std::array<char, 64> buffer{};
  for (const char* value : {"a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\x01"}) {
    HeadWriter head(buffer);
    head.field("A", value);
    EXPECT_FALSE(head.finish()) << value;
  }
  HeadWriter name(buffer);
  name.field("A b", "c");
  EXPECT_FALSE(name.finish());
  HeadWriter full(buffer);
  full.field("A", std::string(58, 'a'));
  EXPECT_FALSE(full.finish());
  EXPECT_LE(full.text().size(), buffer.size());
}

}  // namespace
}  // namespace larder::http
