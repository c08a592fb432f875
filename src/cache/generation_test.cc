#include "cache/generation.h"

#include <gtest/gtest.h>

#include "cache/freshness.h"

namespace larder::cache {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1795300000);
const std::string kModified = "Last-Modified: Sun, 01 Nov 2026 10:00:00 GMT\r\n";
const std::string kDate = "Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n";

http::ResponseHead head(int status, const std::string& fields) {
  auto parsed =
      http::parse_response_head("HTTP/1.1 " + std::to_string(status) + " X\r\n" + fields + "\r\n");
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? *parsed : http::ResponseHead{};
}

GenerationKind kind_of(const std::string& fields, IdentityRule rule = IdentityRule::Standard) {
  return identify(head(200, fields), rule, kNow).kind;
}

TEST(Generation, IsAStrongTagElseAStrongDateWithLengthElseNothing) {
  EXPECT_EQ(kind_of("ETag: \"a\"\r\n"), GenerationKind::StrongEtag);
  EXPECT_EQ(kind_of("ETag: \"a\"\r\nContent-Length: 5\r\n" + kModified + kDate),
            GenerationKind::StrongEtag);
  EXPECT_EQ(kind_of("ETag: W/\"a\"\r\nContent-Length: 5\r\n" + kModified + kDate),
            GenerationKind::LastModified);
  EXPECT_EQ(kind_of("Content-Length: 5\r\n" + kModified + kDate), GenerationKind::LastModified);
  EXPECT_EQ(kind_of("Content-Length: 5\r\n" + kModified), GenerationKind::SingleResponse);
  EXPECT_EQ(kind_of(kModified + kDate), GenerationKind::SingleResponse);
  EXPECT_EQ(
      kind_of("Content-Length: 5\r\n" + kModified + "Date: Sun, 01 Nov 2026 10:00:00 GMT\r\n"),
      GenerationKind::SingleResponse);
  EXPECT_EQ(kind_of("ETag: W/\"a\"\r\n"), GenerationKind::SingleResponse);
  EXPECT_EQ(kind_of("ETag: a\r\n"), GenerationKind::SingleResponse);
  EXPECT_EQ(kind_of("ETag: \"a\"\r\nETag: \"b\"\r\n"), GenerationKind::SingleResponse);
  EXPECT_EQ(kind_of(""), GenerationKind::SingleResponse);
}

TEST(Generation, CanBeLengthAndDateByTheAdministratorsWord) {
  const Generation generation =
      identify(head(200, "ETag: \"a\"\r\nContent-Length: 5\r\n" + kModified),
               IdentityRule::LengthAndLastModified, kNow);
  EXPECT_EQ(generation.kind, GenerationKind::LastModified);
  EXPECT_EQ(kind_of("ETag: \"a\"\r\n", IdentityRule::LengthAndLastModified),
            GenerationKind::SingleResponse);
}

StoredResponse stored_from(const std::string& fields) {
  const auto decision = decide_to_store(
      "k", {}, head(200, "Cache-Control: max-age=60\r\n" + fields), {kNow, kNow}, {});
  EXPECT_TRUE(decision.store) << decision.reason;
  return decision.response;
}

TEST(Part, BelongsOnlyWhenProved) {
  const StoredResponse stored = stored_from("ETag: \"a\"\r\nContent-Length: 100\r\n");
  const auto judge = [&](int status, const std::string& fields) {
    return judge_part(stored, head(status, fields), {.first = 10, .last = 19},
                      IdentityRule::Standard, kNow);
  };
  const std::string tag = "ETag: \"a\"\r\n";
  EXPECT_EQ(judge(206, tag + "Content-Range: bytes 10-19/100\r\n"), Part::Belongs);
  EXPECT_EQ(judge(206, tag + "Content-Range: bytes 10-15/100\r\n"), Part::Belongs);
  EXPECT_EQ(judge(206, tag + "Content-Range: bytes 0-19/100\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(206, tag + "Content-Range: bytes 10-20/100\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(206, tag + "Content-Range: bytes 10-19/101\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(206, tag + "Content-Range: bytes 10-19/*\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(206, "Content-Range: bytes 10-19/100\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(206, "ETag: \"b\"\r\nContent-Range: bytes 10-19/100\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(206, "ETag: W/\"a\"\r\nContent-Range: bytes 10-19/100\r\n"),
            Part::OtherGeneration);
  EXPECT_EQ(judge(206, tag + "Content-Encoding: gzip\r\nContent-Range: bytes 10-19/100\r\n"),
            Part::OtherGeneration);
  EXPECT_EQ(judge(200, tag + "Content-Length: 100\r\n"), Part::Whole);
  EXPECT_EQ(judge(200, "ETag: \"b\"\r\nContent-Length: 100\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(200, tag + "Content-Length: 101\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(200, tag + "Transfer-Encoding: chunked\r\n"), Part::Whole);
  EXPECT_EQ(judge(200, "Transfer-Encoding: chunked\r\n"), Part::OtherGeneration);
  EXPECT_EQ(judge(403, tag), Part::NoBytes);
  EXPECT_EQ(judge(416, "Content-Range: bytes */100\r\n"), Part::NoBytes);
}

TEST(Part, LengthIsNeededBesideADate) {
  const StoredResponse stored = stored_from("Content-Length: 100\r\n" + kModified + kDate);
  const auto judge = [&](const std::string& fields) {
    return judge_part(stored, head(200, kModified + kDate + fields), {.first = 10, .last = 19},
                      IdentityRule::Standard, kNow);
  };
  EXPECT_EQ(judge("Content-Length: 100\r\n"), Part::Whole);
  EXPECT_EQ(judge("Transfer-Encoding: chunked\r\n"), Part::OtherGeneration);
}

TEST(Part, NothingJoinsASingleResponse) {
  const StoredResponse stored = stored_from("Content-Length: 100\r\n");
  EXPECT_EQ(judge_part(stored, head(206, "Content-Range: bytes 10-19/100\r\n"),
                       {.first = 10, .last = 19}, IdentityRule::Standard, kNow),
            Part::OtherGeneration);
}

TEST(IfRange, UsesTheOriginsOwnDate) {
  const std::string modified = "Sun, 01 Nov 2026 10:00:00 GMT";
  EXPECT_TRUE(
      if_range_holds(stored_from("Content-Length: 5\r\n" + kModified + kDate), modified, kNow));
  EXPECT_FALSE(if_range_holds(stored_from("Content-Length: 5\r\n" + kModified), modified, kNow));
  EXPECT_TRUE(if_range_holds(stored_from("ETag: \"a\"\r\n"), "\"a\"", kNow));
}

}  // namespace
}  // namespace larder::cache
