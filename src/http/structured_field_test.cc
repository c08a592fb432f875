#include "http/structured_field.h"

#include <gtest/gtest.h>

namespace larder::http {
namespace {

TEST(StructuredDictionary, ReadsMembersOfEveryType) {
  const auto members = parse_structured_dictionary(
      " a=1, b , c=?0,d=\"x\\\"y\", e=tok/en, f=1.5, g=:YQ==:, h=(1 \"a\";x=1  t);y, i;z=2, "
      "*j=-7 ");
  ASSERT_TRUE(members);
  const std::vector<std::pair<std::string_view, StructuredItem>> wanted = {
      {"a", std::int64_t{1}},
      {"b", true},
      {"c", false},
      {"d", std::string_view("x\\\"y")},
      {"e", StructuredToken{"tok/en"}},
      {"f", StructuredOther{}},
      {"g", StructuredOther{}},
      {"h", StructuredOther{}},
      {"i", true},
      {"*j", std::int64_t{-7}},
  };
  ASSERT_EQ(members->size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ((*members)[i].name, wanted[i].first);
    EXPECT_EQ((*members)[i].value, wanted[i].second) << wanted[i].first;
  }
}

TEST(StructuredDictionary, TakesTheLastOfARepeatedName) {
  const auto members = parse_structured_dictionary("a=1, b, a=2");
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 2u);
  EXPECT_EQ((*members)[1].name, "a");
  EXPECT_EQ((*members)[1].value, StructuredItem(std::int64_t{2}));
}

TEST(StructuredDictionary, RefusesEverythingElse) {
  for (const char* text : {"A=1",
                           "a=",
                           "a=1,",
                           ",a",
                           "a b",
                           "a =1",
                           "a= 1",
                           "a=\"x",
                           "a=\"\\x\"",
                           "a=&",
                           "a=1.",
                           "a=-",
                           "a=1234567890123456",
                           "a=?2",
                           "a=(1",
                           "a=(1\"x\")",
                           "a;=1",
                           "a;B",
                           "a=1;x=&",
                           "a=:x",
                           "&&&",
                           "a=\"\x01\"",
                           "a=1.2345"}) {
    EXPECT_FALSE(parse_structured_dictionary(text)) << text;
  }
  EXPECT_TRUE(parse_structured_dictionary("")->empty());
  std::string many;
  for (int i = 0; i < 65; ++i) many += (i > 0 ? ",a" : "a") + std::to_string(i);
  EXPECT_FALSE(parse_structured_dictionary(many));
}

}  // namespace
}  // namespace larder::http
