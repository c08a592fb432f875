#include "node/redirect_trails.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

store::Key key(std::uint64_t number) {
  return {.high = number, .low = number};
}

RedirectTrail trail(std::vector<std::string> places) {
  RedirectTrail trail;
  for (std::string& place : places) trail.hops.push_back({302, std::move(place), true, "allowed"});
  return trail;
}

TEST(RedirectTrails, TheLastTrailOfAKeyIsTold) {
  RedirectTrails trails;
  EXPECT_FALSE(trails.find(key(1)));
  trails.note(key(1), trail({"http://a.test/"}));
  trails.note(key(1), trail({"http://b.test/", "http://c.test/"}));
  ASSERT_TRUE(trails.find(key(1)));
  EXPECT_EQ(trails.find(key(1))->hops.size(), 2U);
  EXPECT_EQ(trails.find(key(1))->hops[0].to, "http://b.test/");
  trails.note(key(1), {});
  EXPECT_FALSE(trails.find(key(1))) << "the origin redirects no more";
}

TEST(RedirectTrails, TheOldestKeyIsForgotten) {
  RedirectTrails trails;
  for (std::uint64_t i = 0; i <= RedirectTrails::kMost; ++i) {
    trails.note(key(i), trail({"http://a.test/"}));
  }
  EXPECT_FALSE(trails.find(key(0)));
  EXPECT_TRUE(trails.find(key(1)));
}

TEST(RedirectTrails, TextsTellNoValuesAndAreBounded) {
  EXPECT_EQ(redirect_text(true, "a.test", "/x?sig=1"), "https://a.test/x?...");
  EXPECT_EQ(redirect_text(false, "a.test:8080", "/x"), "http://a.test:8080/x");
  const std::string longest = redirect_text(false, "a.test", "/" + std::string(9000, 'x') + "?y");
  EXPECT_EQ(longest.size(), 515U);
  EXPECT_TRUE(longest.ends_with("x..."));
}

}  // namespace
}  // namespace larder::node
