#include "http/cache_control.h"

#include <gtest/gtest.h>

namespace larder::http {
namespace {

using std::chrono::seconds;

CacheControl parse(std::initializer_list<std::string_view> lines) {
  CacheControl control;
  for (const std::string_view line : lines) control.add(line);
  return control;
}

TEST(CacheControl, ReadsDirectivesInAnyCaseOverSeveralLines) {
  const CacheControl control =
      parse({"Public, MAX-AGE=60 ,, s-maxage=\"120\"", "stale-while-revalidate=30, immutable",
             "must-revalidate,proxy-revalidate,no-transform,stale-if-error=5,unknown=\"a,b\""});
  EXPECT_FALSE(control.malformed);
  EXPECT_TRUE(control.is_public);
  EXPECT_TRUE(control.immutable);
  EXPECT_TRUE(control.must_revalidate);
  EXPECT_TRUE(control.proxy_revalidate);
  EXPECT_TRUE(control.no_transform);
  EXPECT_EQ(control.max_age, seconds{60});
  EXPECT_EQ(control.s_maxage, seconds{120});
  EXPECT_EQ(control.stale_while_revalidate, seconds{30});
  EXPECT_EQ(control.stale_if_error, seconds{5});
}

TEST(CacheControl, KeepsTheFieldNamesOfQualifiedDirectives) {
  const CacheControl control = parse({"no-cache=\"Set-Cookie, X-A\", private=B, max-age=5"});
  EXPECT_FALSE(control.no_cache);
  EXPECT_FALSE(control.is_private);
  EXPECT_EQ(control.max_age, seconds{5});
  for (const char* name : {"set-cookie", "x-a", "b"}) EXPECT_TRUE(control.withholds(name)) << name;
  EXPECT_FALSE(control.withholds("x"));
}

TEST(CacheControl, ReadsQualifiedDirectivesThatNameNoFieldsAsUnqualified) {
  EXPECT_TRUE(parse({"no-cache=\"Set-Cookie, \\\"X\""}).no_cache);
  EXPECT_TRUE(parse({"no-cache=\"\""}).no_cache);
  EXPECT_TRUE(parse({"private=\"a b\""}).is_private);
  EXPECT_TRUE(parse({"private=\"a\", private"}).is_private);
}

TEST(CacheControl, ReadsTargetedFieldsAsDictionaries) {
  const auto control = parse_targeted_cache_control(
      "max-age=60, stale-if-error=5;x, must-revalidate, foo=\"bar\", s-maxage=99999999999");
  ASSERT_TRUE(control);
  EXPECT_EQ(control->max_age, seconds{60});
  EXPECT_EQ(control->stale_if_error, seconds{5});
  EXPECT_EQ(control->s_maxage, kLongestDelta);
  EXPECT_TRUE(control->must_revalidate);
  EXPECT_TRUE(parse_targeted_cache_control("no-cache=\"a\"")->no_cache);
  EXPECT_FALSE(parse_targeted_cache_control("no-store=?0")->no_store);
  EXPECT_EQ(parse_targeted_cache_control("max-age=-1")->max_age, seconds{0});
  for (const char* text : {"", "max-age=\"60\"", "max-age=60, &&&", "max-age", "max-age=1.5",
                           "no-store=1", "Max-Age=60", "max-age =60"}) {
    EXPECT_FALSE(parse_targeted_cache_control(text)) << text;
  }
}

TEST(CacheControl, UnusableOrContradictingAgesAreZero) {
  EXPECT_EQ(parse({"max-age=abc"}).max_age, seconds{0});
  EXPECT_EQ(parse({"max-age=-5"}).max_age, seconds{0});
  EXPECT_EQ(parse({"max-age=1.5"}).max_age, seconds{0});
  EXPECT_EQ(parse({"max-age"}).max_age, seconds{0});
  EXPECT_EQ(parse({"max-age="}).max_age, seconds{0});
  EXPECT_EQ(parse({"max-age=5, max-age=50"}).max_age, seconds{0});
  EXPECT_EQ(parse({"max-age=5", "max-age=5"}).max_age, seconds{5});
  EXPECT_EQ(parse({"max-age=99999999999999999999999"}).max_age, kLongestDelta);
}

TEST(CacheControl, ReadsRequestDirectives) {
  const CacheControl control = parse({"max-stale, min-fresh=10, only-if-cached, no-store"});
  EXPECT_EQ(control.max_stale, kLongestDelta);
  EXPECT_EQ(control.min_fresh, seconds{10});
  EXPECT_TRUE(control.only_if_cached);
  EXPECT_TRUE(control.no_store);
  EXPECT_EQ(parse({"max-stale=5"}).max_stale, seconds{5});
  EXPECT_EQ(parse({"min-fresh=x"}).min_fresh, kLongestDelta);
}

TEST(CacheControl, ReportsMalformedLines) {
  for (const char* line : {"=5", "max-age=5 public", "a=\"b", "a=\"b\\\"", "(x)", "max-age =5",
                           "a;b", "max-age=5;x"}) {
    EXPECT_TRUE(parse({line}).malformed) << line;
  }
  EXPECT_FALSE(parse({""}).malformed);
  EXPECT_FALSE(parse({" , ,"}).malformed);
}

TEST(Age, TakesTheFirstOfAListAndIgnoresNonsense) {
  EXPECT_EQ(parse_age("60"), seconds{60});
  EXPECT_EQ(parse_age("60, 70"), seconds{60});
  EXPECT_EQ(parse_age("99999999999999999999"), kLongestDelta);
  EXPECT_FALSE(parse_age(""));
  EXPECT_FALSE(parse_age("-1"));
  EXPECT_FALSE(parse_age("a"));
}

}  // namespace
}  // namespace larder::http
