#include "cache/variant.h"

#include <gtest/gtest.h>

#include <set>

namespace larder::cache {
namespace {

using http::Exchange;

std::optional<std::string> normalised(std::string_view name, std::vector<std::string_view> values) {
  return normalise_nominated(name, values);
}

struct Request {
  explicit Request(const std::string& fields)
      : text("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n") {
    EXPECT_EQ(http::parse_request_head(text, head).state, http::HeadParse::State::Complete);
  }
  std::string text;
  http::RequestHead head;
};

TEST(Variant, NormalisesWhatMeansTheSame) {
  EXPECT_FALSE(normalised("foo", {}));
  EXPECT_EQ(normalised("foo", {""}), "");
  EXPECT_EQ(normalised("foo", {"1, 2"}), "1,2");
  EXPECT_EQ(normalised("foo", {"1", "2"}), "1,2");
  EXPECT_EQ(normalised("foo", {"1 ,\t2"}), "1,2");
  EXPECT_EQ(normalised("foo", {"a b"}), "a b");
  EXPECT_EQ(normalised("foo", {"\"a , \\\" , b\" , c"}), "\"a , \\\" , b\",c");
  EXPECT_EQ(normalised("accept-language", {"eN , De"}), "de,en");
  EXPECT_EQ(normalised("accept-language", {"fr;q=0.5, de;Q=1.000", "en"}), "de,en,fr;q=0.500");
  EXPECT_EQ(normalised("accept-language", {"en;x=1, de"}), "en;x=1,de");
  EXPECT_EQ(normalised("accept-language", {"en;q=2"}), "en;q=2");
}

TEST(Variant, MatchesTheNominatedFieldsAsFillsSendThem) {
  StoredResponse stored;
  stored.vary = {{.name = "foo", .value = "1,2"}, {.name = "bar", .value = std::nullopt}};
  const auto matches = [&](const std::string& fields, Exchange fill) {
    return matches_vary(stored, Request(fields).head, fill);
  };
  EXPECT_TRUE(matches("Foo: 1, 2\r\n", Exchange::DeclaredFill));
  EXPECT_TRUE(matches("foo: 1\r\nFoo: 2\r\n", Exchange::DeclaredFill));
  EXPECT_FALSE(matches("Foo: 2\r\n", Exchange::DeclaredFill));
  EXPECT_FALSE(matches("", Exchange::DeclaredFill));
  EXPECT_FALSE(matches("Foo: 1,2\r\nBar: 1\r\n", Exchange::DeclaredFill));
  EXPECT_FALSE(matches("Foo: 1,2\r\n", Exchange::SharedFill)) << "such fills send no Foo";
}

TEST(Variant, TakesTheLanguageThatTheRequestPrefersToAllOthers) {
  StoredResponse stored;
  stored.vary = {{.name = "accept-language", .value = "de,en"}};
  stored.fields = {{.name = "Content-Language", .value = "de", .id = http::FieldName::Other}};
  const auto matches = [&](const std::string& languages) {
    return matches_vary(stored, Request("Accept-Language: " + languages + "\r\n").head,
                        Exchange::DeclaredFill);
  };
  EXPECT_TRUE(matches("en, de"));
  EXPECT_TRUE(matches("fr;q=0.5, de;q=1.0"));
  EXPECT_TRUE(matches("DE"));
  EXPECT_FALSE(matches("fr, de"));
  EXPECT_FALSE(matches("fr, de;q=0.9"));
  EXPECT_FALSE(matches("de;q=0"));
  EXPECT_FALSE(matches("de-AT"));
  EXPECT_FALSE(matches("de;q=x"));
}

TEST(Variant, HasAKeyOfItsOwnForEachSlotAndEpoch) {
  std::set<std::string> keys{"http\na\n/"};
  for (unsigned slot = 0; slot < kVariantSlots; ++slot) {
    keys.insert(variant_key("http\na\n/", 7, slot));
    keys.insert(variant_key("http\na\n/", 8, slot));
  }
  EXPECT_EQ(keys.size(), 1 + 2 * kVariantSlots);
}

TEST(Variant, IsLookedForFromAPlaceThatTheFieldsChoose) {
  StoredResponse first;
  first.vary = {{.name = "foo", .value = "1"}};
  std::set<unsigned> places;
  for (int i = 0; i < 100; ++i) {
    const std::string fields = "Foo: " + std::to_string(i) + "\r\n";
    const unsigned place = first_variant_slot(first, Request(fields).head, Exchange::DeclaredFill);
    EXPECT_LT(place, kVariantSlots);
    EXPECT_EQ(place,
              first_variant_slot(first, Request(fields + "X: 1\r\n").head, Exchange::DeclaredFill));
    places.insert(place);
  }
  EXPECT_GT(places.size(), kVariantSlots / 2);
}

}  // namespace
}  // namespace larder::cache
