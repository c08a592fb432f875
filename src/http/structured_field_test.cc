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

TEST(StructuredList, KeepsMembersAndParametersAsTheyStand) {
  const auto list = parse_structured_list(
      " Origin;hit; ttl=60 ,\t\"a \\\"b\\\", c\"; detail=\"x;y\", 5, (a \"b\");z ");
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 4U);
  EXPECT_EQ((*list)[0].value, StructuredItem(StructuredToken{"Origin"}));
  EXPECT_EQ((*list)[0].text, "Origin");
  ASSERT_EQ((*list)[0].parameters.size(), 2U);
  EXPECT_EQ((*list)[0].parameters[0].name, "hit");
  EXPECT_EQ((*list)[0].parameters[0].text, "hit");
  EXPECT_EQ((*list)[0].parameters[1].name, "ttl");
  EXPECT_EQ((*list)[0].parameters[1].text, "ttl=60");
  EXPECT_EQ((*list)[1].value, StructuredItem(std::string_view(R"(a \"b\", c)")));
  EXPECT_EQ((*list)[1].text, R"("a \"b\", c")");
  ASSERT_EQ((*list)[1].parameters.size(), 1U);
  EXPECT_EQ((*list)[1].parameters[0].text, R"(detail="x;y")");
  EXPECT_EQ((*list)[2].value, StructuredItem(std::int64_t{5}));
  EXPECT_EQ((*list)[3].value, StructuredItem(StructuredOther{}));
  EXPECT_TRUE(parse_structured_list("")->empty());
}

TEST(StructuredList, RefusesEverythingElse) {
  for (const char* text : {",a", "a,", "a,,b", "a b", "a;", "a;=1", "a;B", "a;b=", "\"a", "a;b=\"c",
                           "&", "a; b =1", "(a", "a\r\nb", "\xc3\xa4", "a;b=\"\xc3\xa4\""}) {
    EXPECT_FALSE(parse_structured_list(text)) << text;
  }
  std::string most = "a";
  for (std::size_t i = 1; i < kMostStructuredMembers; ++i) most += ",a";
  EXPECT_TRUE(parse_structured_list(most));
  EXPECT_FALSE(parse_structured_list(most + ",a"));
}

}  // namespace
}  // namespace larder::http
