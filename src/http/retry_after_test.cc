#include "http/retry_after.h"

#include <gtest/gtest.h>

#include "http/date.h"

namespace larder::http {
namespace {

using std::chrono::seconds;

const base::WallTime kNow = *parse_date("Fri, 15 Jan 2027 08:00:00 GMT", base::WallTime());

TEST(RetryAfter, IsSecondsOrADateWithinAWeek) {
  EXPECT_EQ(parse_retry_after("0", kNow), seconds(0));
  EXPECT_EQ(parse_retry_after("120", kNow), seconds(120));
  EXPECT_EQ(parse_retry_after("99999999999", kNow), std::chrono::hours(24 * 7));
  EXPECT_EQ(parse_retry_after("99999999999999999999999", kNow), std::chrono::hours(24 * 7));
  EXPECT_EQ(parse_retry_after("Fri, 15 Jan 2027 08:01:00 GMT", kNow), seconds(60));
  EXPECT_EQ(parse_retry_after("Fri, 15 Jan 2021 08:01:00 GMT", kNow), seconds(0));
  EXPECT_EQ(parse_retry_after("Fri, 15 Jan 2038 08:01:00 GMT", kNow), std::chrono::hours(24 * 7));
  for (const char* text : {"", "-1", "+1", "soon", "1.5", "12 ", "1, 2", "120\r\nX: y"}) {
    EXPECT_FALSE(parse_retry_after(text, kNow)) << text;
  }
}

TEST(PassingTrouble, IsWhatASecondAttemptMayEnd) {
  for (const int status : {408, 425, 429}) EXPECT_TRUE(is_passing_trouble(status));
  for (const int status : {200, 304, 400, 403, 404, 409, 410, 416, 421, 428, 500, 503}) {
    EXPECT_FALSE(is_passing_trouble(status));
  }
}

TEST(Trouble, IsWhatTellsNothingOfTheObject) {
  for (const int status : {408, 425, 429, 500, 502, 503, 504, 599}) EXPECT_TRUE(is_trouble(status));
  for (const int status : {200, 206, 301, 304, 400, 401, 403, 404, 410, 416, 421, 428, 451}) {
    EXPECT_FALSE(is_trouble(status));
  }
}

}  // namespace
}  // namespace larder::http
