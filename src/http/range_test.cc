#include "http/range.h"

#include <gtest/gtest.h>

#include "http/date.h"

namespace larder::http {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1795300000);  // November 2026

std::string resolve(std::string_view value, std::uint64_t length) {
  const RangeAnswer answer = resolve_range(parse_range(value), length);
  switch (answer.kind) {
    case RangeAnswer::Kind::Whole:
      return "whole";
    case RangeAnswer::Kind::Unsatisfiable:
      return "416";
    case RangeAnswer::Kind::Partial:
      break;
  }
  return std::to_string(answer.range.first) + "-" + std::to_string(answer.range.last);
}

TEST(Range, ResolvesAgainstTheLength) {
  struct Row {
    const char* value;
    std::uint64_t length;
    const char* expected;
  };
  const Row rows[] = {
      {"bytes=0-1", 10, "0-1"},
      {"bytes=0-0", 1, "0-0"},
      {"bytes=5-", 10, "5-9"},
      {"bytes=-3", 10, "7-9"},
      {"bytes=-30", 10, "0-9"},
      {"bytes=3-99", 10, "3-9"},
      {"Bytes= 3-4 ", 10, "3-4"},
      {"bytes=,3-4,", 10, "3-4"},
      {"bytes=0-99999999999999999999999999", 10, "0-9"},
      {"bytes=-99999999999999999999999999", 10, "0-9"},
      {"bytes=10-", 10, "416"},
      {"bytes=10-12", 10, "416"},
      {"bytes=99999999999999999999-99999999999999999999", 10, "416"},
      {"bytes=-0", 10, "416"},
      {"bytes=0-", 0, "416"},
      {"bytes=-5", 0, "whole"},
      {"", 10, "whole"},
      {"bytes=", 10, "whole"},
      {"bytes=-", 10, "whole"},
      {"bytes=5-4", 10, "whole"},
      {"bytes=a-4", 10, "whole"},
      {"bytes=0-4x", 10, "whole"},
      {"bytes=0 - 4", 10, "whole"},
      {"bytes=+0-4", 10, "whole"},
      {"bytes=0-1,3-4", 10, "whole"},
      {"bytes=0-1,x", 10, "whole"},
      {"bytes 0-4", 10, "whole"},
      {"lines=0-4", 10, "whole"},
      {"bytes=0-4-5", 10, "whole"},
      {"bytes=--4", 10, "whole"},
  };
  for (const Row& row : rows) EXPECT_EQ(resolve(row.value, row.length), row.expected) << row.value;
}

TEST(Range, JoinsSeveralThatAreCloseAndDropsThoseBeyondTheEnd) {
  const auto resolve_all = [](std::string_view value, std::uint64_t length) {
    const RangesAnswer answer = resolve_ranges(value, length);
    if (answer.kind == RangeAnswer::Kind::Whole) return std::string("whole");
    if (answer.kind == RangeAnswer::Kind::Unsatisfiable) return std::string("416");
    std::string text;
    for (const ByteRange& part : answer.parts) {
      text +=
          (text.empty() ? "" : " ") + std::to_string(part.first) + "-" + std::to_string(part.last);
    }
    return text;
  };
  struct Row {
    std::string value;
    std::uint64_t length;
    const char* expected;
  };
  std::string most = "bytes=";
  for (int i = 0; i < 16; ++i)
    most += std::to_string(i * 1000) + "-" + std::to_string(i * 1000) + ",";
  const Row rows[] = {
      {"bytes=0-9,1000-1009", 5000, "0-9 1000-1009"},
      {"bytes=1000-1009, 0-9", 5000, "1000-1009 0-9"},
      {"bytes=0-9,-10", 5000, "0-9 4990-4999"},
      {"bytes=0-9,5-20", 5000, "0-20"},
      {"bytes=300-309,0-9,15-20", 5000, "0-20 300-309"},
      {"bytes=0-9,137-140", 5000, "0-140"},
      {"bytes=0-9,138-140", 5000, "0-9 138-140"},
      {"bytes=0-,5-6", 5000, "0-4999"},
      {"bytes=0-9,6000-", 5000, "0-9"},
      {"bytes=5000-,6000-7000", 5000, "416"},
      {"bytes=0-9,x", 5000, "whole"},
      {"bytes=", 5000, "whole"},
      {"lines=0-9,20-30", 5000, "whole"},
      {most + "16000-16000", 50000, "whole"},
  };
  for (const Row& row : rows)
    EXPECT_EQ(resolve_all(row.value, row.length), row.expected) << row.value;
  EXPECT_EQ(resolve_ranges(most, 50000).parts.size(), kMostRanges);
}

TEST(Range, BeginsWithTheEarliestOfSeveral) {
  using Kind = RangeRequest::Kind;
  EXPECT_EQ(parse_earliest_range("bytes=5-9").first, 5U);
  const RangeRequest closed = parse_earliest_range("bytes=90-,20-29 , 500-600");
  EXPECT_TRUE(closed.kind == Kind::Closed && closed.first == 20 && closed.last == 29);
  EXPECT_EQ(parse_earliest_range("bytes=0-1,-5").kind, Kind::Suffix);
  EXPECT_EQ(parse_earliest_range("bytes=-5,0-1").kind, Kind::Suffix);
  EXPECT_EQ(parse_earliest_range("bytes=7-,8-9").kind, Kind::Open);
  std::string many = "bytes=0-0";
  for (std::size_t i = 1; i < kMostRanges; ++i) many += "," + std::to_string(i * 1000) + "-";
  EXPECT_EQ(parse_earliest_range(many).kind, Kind::Closed);
  many += ",7-7";
  for (const std::string& text :
       std::vector<std::string>{"", "items=0-1", "bytes=0-1,x", "bytes=,", many}) {
    EXPECT_EQ(parse_earliest_range(text).kind, Kind::Absent) << text;
  }
}

TEST(ContentRange, RoundTrips) {
  for (const char* text : {"bytes 0-4/10", "bytes 0-4/*", "bytes */10", "bytes */0"}) {
    const auto parsed = parse_content_range(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(content_range_text(*parsed), text);
  }
  EXPECT_EQ(parse_content_range("bytes 0-4/10")->range, (ByteRange{0, 4}));
  EXPECT_EQ(parse_content_range("Bytes */10")->length, 10u);
}

TEST(ContentRange, RefusesWhatCannotBe) {
  for (const char* text :
       {"", "bytes", "bytes ", "bytes 0-4", "bytes 0-10/10", "bytes 5-4/10", "bytes */*",
        "bytes 0-/10", "bytes -4/10", "bytes=0-4/10", "bytes 0-4/10 ", "bytes 0-4/1x",
        "bytes 0-99999999999999999999/*", "bytes 0-4/99999999999999999999", "items 0-4/10",
        "bytes 0-4/10/11", "bytes  0-4/10"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
}

TEST(IfRange, HoldsOnlyForAStrongValidator) {
  const std::string modified = "Sun, 01 Nov 2026 10:00:00 GMT";
  const std::string later = "Sun, 01 Nov 2026 10:00:01 GMT";
  const auto holds = [&](std::string_view value, std::string_view etag, std::string_view date) {
    return if_range_holds(value, etag, modified, date, kNow);
  };
  EXPECT_TRUE(holds("\"a\"", "\"a\"", later));
  EXPECT_FALSE(holds("\"a\"", "\"b\"", later));
  EXPECT_FALSE(holds("W/\"a\"", "W/\"a\"", later));
  EXPECT_FALSE(holds("\"a\"", "W/\"a\"", later));
  EXPECT_FALSE(holds("\"a\"", "", later));
  EXPECT_TRUE(holds(modified, "\"a\"", later));
  EXPECT_FALSE(holds(later, "\"a\"", later));
  EXPECT_FALSE(holds(modified, "", modified));
  EXPECT_FALSE(holds(modified, "", ""));
  EXPECT_FALSE(holds("nonsense", "", later));
}

}  // namespace
}  // namespace larder::http
