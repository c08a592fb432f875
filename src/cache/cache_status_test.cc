#include "cache/cache_status.h"

#include <gtest/gtest.h>

#include <array>

namespace larder::cache {
namespace {

TEST(CacheStatus, SaysWhatHappened) {
  std::array<char, 128> buffer{};
  EXPECT_EQ(write_cache_status(buffer, {.time_to_live = std::chrono::seconds{60}}),
            "larder; hit; ttl=60");
  EXPECT_EQ(write_cache_status(buffer, {.forwarded = Forwarded::UriMiss,
                                        .forward_status = 200,
                                        .stored = true,
                                        .collapsed = true,
                                        .detail = "no-store"}),
            "larder; fwd=uri-miss; fwd-status=200; stored; collapsed; detail=\"no-store\"");
  EXPECT_EQ(write_cache_status(buffer, {.detail = "a\"b"}), "larder; hit");
  EXPECT_EQ(write_cache_status(std::span(buffer).first(12), {.stored = true}), "larder; hit");
}

http::ResponseHead head_with(std::vector<std::string> lines) {
  http::ResponseHead head;
  for (std::string& line : lines) {
    head.fields.push_back(
        {.name = "Cache-Status", .value = std::move(line), .id = http::FieldName::CacheStatus});
  }
  return head;
}

TEST(UpstreamCacheStatus, IsTheListOfAllLinesInTheirOrder) {
  EXPECT_EQ(upstream_cache_status(head_with({})), "");
  EXPECT_EQ(upstream_cache_status(head_with({"Origin; hit; ttl=1100"})), "Origin; hit; ttl=1100");
  EXPECT_EQ(
      upstream_cache_status(head_with({"Origin;fwd=stale ,larder; hit", "", "\"CDN, Inc\";hit"})),
      "Origin; fwd=stale, larder; hit, \"CDN, Inc\"; hit");
}

TEST(UpstreamCacheStatus, TellsNobodysKey) {
  EXPECT_EQ(upstream_cache_status(
                head_with({"a; hit; key=\"/x?sig=1, b\"; detail=OK, b; key=\"/y\";key=z"})),
            "a; hit; detail=OK, b");
}

TEST(UpstreamCacheStatus, IsDroppedWhenItIsNoneOrTooLong) {
  for (const char* text : {"a; hit,", "a hit", "a; Hit", "a; detail=\"x", "(a b); hit", "5; hit",
                           "?1; hit", ":YQ==:; hit", "a; detail=\"\xc3\xa4\"", ","}) {
    EXPECT_EQ(upstream_cache_status(head_with({text})), "") << text;
    EXPECT_EQ(upstream_cache_status(head_with({"a; hit", text})), "") << text;
  }
  std::string longest = "a; detail=\"";
  longest.append(kLongestUpstreamStatus - longest.size() - 1, 'x').append("\"");
  EXPECT_EQ(upstream_cache_status(head_with({longest})), longest);
  longest.insert(longest.size() - 1, "x");
  EXPECT_EQ(upstream_cache_status(head_with({longest})), "");
  // Written in full, with a space before each parameter.
  std::string dense = "a";
  while (dense.size() + 2 <= kLongestUpstreamStatus) dense += ";b";
  EXPECT_EQ(upstream_cache_status(head_with({dense})), "");
  EXPECT_EQ(upstream_cache_status(head_with(std::vector<std::string>(600, "aa"))), "");
}

TEST(UpstreamCacheStatus, IsDroppedWhenItWasForThisNodeAlone) {
  http::ResponseHead head = head_with({"a; hit"});
  head.fields.push_back(
      {.name = "Connection", .value = "close, cache-status", .id = http::FieldName::Connection});
  EXPECT_EQ(upstream_cache_status(head), "");
}

TEST(NearestCacheStatus, IsTheLastMember) {
  EXPECT_EQ(nearest_cache_status("larder; hit"), "larder; hit");
  EXPECT_EQ(nearest_cache_status("a; hit; detail=\"x, y\", larder; fwd=miss"), "larder; fwd=miss");
  for (const char* text : {"", "a,", "a b"}) EXPECT_EQ(nearest_cache_status(text), "");
}

}  // namespace
}  // namespace larder::cache
