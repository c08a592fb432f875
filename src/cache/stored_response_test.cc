#include "cache/stored_response.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace larder::cache {
namespace {

using std::chrono::seconds;

StoredResponse sample() {
  StoredResponse response;
  response.key = "https\na.example\n/x?y";
  response.host = "cdn2.a.example";
  response.status = 404;
  response.fields = {{.name = "ETag", .value = "\"a\"", .id = http::FieldName::ETag},
                     {.name = "X-Other", .value = "", .id = http::FieldName::Other}};
  response.vary = {{.name = "accept", .value = "a, b"}, {.name = "x", .value = std::nullopt}};
  response.request_time = base::from_unix_seconds(1795300000);
  response.response_time = response.request_time + std::chrono::microseconds{1234};
  response.date = base::from_unix_seconds(-5);
  response.has_origin_date = true;
  response.freshness = {.lifetime = seconds{60},
                        .initial_age = std::chrono::microseconds{1500},
                        .stale_while_revalidate = seconds{5},
                        .stale_if_error = seconds{6},
                        .is_heuristic = true,
                        .answers_authorization = true};
  response.generation = {.kind = GenerationKind::StrongEtag, .validator = "\"a\""};
  response.length = 123456789012;
  response.variant_epoch = 0xfedcba9876543210;
  return response;
}

TEST(StoredResponse, RoundTrips) {
  const StoredResponse response = sample();
  const auto bytes = serialize(response);
  ASSERT_TRUE(bytes);
  const auto parsed = parse_stored_response(base::as_bytes(*bytes));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->key, response.key);
  EXPECT_EQ(parsed->host, response.host);
  EXPECT_EQ(parsed->status, 404);
  ASSERT_EQ(parsed->fields.size(), 2u);
  EXPECT_EQ(parsed->etag(), "\"a\"");
  EXPECT_EQ(parsed->fields[1].name, "X-Other");
  EXPECT_EQ(parsed->vary, response.vary);
  EXPECT_EQ(parsed->request_time, response.request_time);
  EXPECT_EQ(parsed->response_time, response.response_time);
  EXPECT_EQ(parsed->date, response.date);
  EXPECT_TRUE(parsed->has_origin_date);
  EXPECT_EQ(parsed->freshness, response.freshness);
  EXPECT_EQ(parsed->generation, response.generation);
  EXPECT_EQ(parsed->length, response.length);
  EXPECT_EQ(parsed->variant_epoch, response.variant_epoch);
  StoredResponse unknown = sample();
  unknown.length.reset();
  unknown.generation = {};
  const auto again = parse_stored_response(base::as_bytes(*serialize(unknown)));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->length);
}

TEST(StoredResponse, RefusesEveryTruncationAndAnythingAfterTheEnd) {
  const std::string bytes = *serialize(sample());
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(parse_stored_response(base::as_bytes(std::string_view(bytes).substr(0, length))));
  }
  EXPECT_FALSE(parse_stored_response(base::as_bytes(bytes + "x")));
}

TEST(StoredResponse, SurvivesEveryFlippedByte) {
  const std::string bytes = *serialize(sample());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (const unsigned flip : {1u, 0x80u, 0xffu}) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(static_cast<unsigned char>(damaged[i]) ^ flip);
      const auto parsed = parse_stored_response(base::as_bytes(damaged));
      if (!parsed) continue;
      // What can still be read has one form only: the one that was read.
      const auto written = serialize(*parsed);
      ASSERT_TRUE(written);
      EXPECT_EQ(*written, damaged);
    }
  }
}

TEST(StoredResponse, RefusesAnotherVersionAndTextsThatWouldSplitAHead) {
  std::string bytes = *serialize(sample());
  bytes[4] = 1;
  EXPECT_FALSE(parse_stored_response(base::as_bytes(bytes)));
  StoredResponse split = sample();
  split.fields[1].value = "a\r\nSet-Cookie: b";
  EXPECT_FALSE(parse_stored_response(base::as_bytes(*serialize(split))));
}

TEST(StoredResponse, HasALimit) {
  StoredResponse large = sample();
  large.fields[1].value = std::string(kLongestStoredResponse, 'a');
  EXPECT_EQ(serialize(large).error().code, base::ErrorCode::ResourceExhausted);
  StoredResponse many = sample();
  many.fields.resize(101, many.fields[0]);
  EXPECT_FALSE(serialize(many));
}

}  // namespace
}  // namespace larder::cache
