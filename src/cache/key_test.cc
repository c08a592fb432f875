#include "cache/key.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace larder::cache {
namespace {

TEST(Key, NamesSchemeHostAndTarget) {
  std::string key;
  EXPECT_FALSE(write_key(key, {.host = "a.example", .path = "/x"}));
  EXPECT_EQ(key, "http\na.example\n/x");
  EXPECT_FALSE(write_key(key, {.https = true,
                               .host = "a.example",
                               .port = 443,
                               .path = "/x",
                               .query = "",
                               .has_query = true}));
  EXPECT_EQ(key, "https\na.example\n/x?");
  write_key(key, {.host = "a.example", .port = 443, .path = "/x"});
  EXPECT_EQ(key, "http\na.example:443\n/x");
}

TEST(Key, LeavesOutIgnoredParameters) {
  const std::vector<std::string> ignored = {"P1", "P2"};
  const auto stripped = [&](std::string_view query, bool& any) {
    std::string key;
    any = write_key(key, {.host = "h",
                          .path = "/",
                          .query = query,
                          .has_query = true,
                          .ignored_parameters = ignored});
    return key.substr(std::string("http\nh\n/").size());
  };
  bool any = false;
  EXPECT_EQ(stripped("a=1&P1=x&b&P2&P10=y", any), "?a=1&b&P10=y");
  EXPECT_TRUE(any);
  EXPECT_EQ(stripped("P1=x&P2=y", any), "");
  EXPECT_TRUE(any);
  EXPECT_EQ(stripped("a=1&&p1=x", any), "?a=1&&p1=x");
  EXPECT_FALSE(any);
}

TEST(Key, SortsParametersWhereTheOriginAllowsIt) {
  const auto sorted = [](std::string_view query) {
    std::string key;
    write_key(
        key,
        {.host = "h", .path = "/", .query = query, .has_query = true, .sort_parameters = true});
    return key.substr(std::string("http\nh\n/").size());
  };
  EXPECT_EQ(sorted("b=1&a=2"), "?a=2&b=1");
  EXPECT_EQ(sorted("a=2&b=1"), "?a=2&b=1");
  EXPECT_EQ(sorted("b=2&a&b=1"), "?a&b=2&b=1") << "values of one name keep their order";
  EXPECT_EQ(sorted(""), "?");
}

}  // namespace
}  // namespace larder::cache
