#include "net/identity_choice.h"

#include <gtest/gtest.h>

namespace larder::net {
namespace {

constexpr int kRsa = 1;
constexpr int kEc = 2;
using Indexes = std::vector<std::size_t>;
const base::WallTime kNow{std::chrono::seconds(1'700'000'000)};

const std::vector<IdentityFacts> kSeveral{
    {.kind = kEc, .dns_names = {"a.example.org"}, .addresses = {"10.0.0.5"}},
    {.kind = kRsa, .dns_names = {"A.example.org"}, .addresses = {}},
    {.kind = kEc, .dns_names = {"*.example.org"}, .addresses = {"fd00::5"}},
    {.kind = kEc, .dns_names = {"a.example.org"}, .addresses = {"10.0.0.5"}},
};

TEST(ChooseIdentities, ByServerNameWholeBeforeWildcard) {
  EXPECT_EQ(choose_identities(kSeveral, "a.example.org", "fd00::5", kNow), (Indexes{0, 1}));
  EXPECT_EQ(choose_identities(kSeveral, "A.EXAMPLE.ORG.", "", kNow), (Indexes{0, 1}));
  EXPECT_EQ(choose_identities(kSeveral, "b.example.org", "10.0.0.5", kNow), (Indexes{2}));
}

TEST(ChooseIdentities, WildcardServesTheKindThatHasNotTheWholeName) {
  std::vector<IdentityFacts> several{
      {.kind = kRsa, .dns_names = {"*.example.org"}, .addresses = {}},
      {.kind = kEc, .dns_names = {"*.example.org"}, .addresses = {}},
      {.kind = kEc, .dns_names = {"a.example.org"}, .addresses = {}},
  };
  EXPECT_EQ(choose_identities(several, "a.example.org", "", kNow), (Indexes{0, 2}));
  EXPECT_EQ(choose_identities(several, "b.example.org", "", kNow), (Indexes{0, 1}));
  several[2].not_after = kNow - std::chrono::seconds(1);
  EXPECT_EQ(choose_identities(several, "a.example.org", "", kNow), (Indexes{0, 1}));
  several[0].not_after = several[1].not_after = several[2].not_after;
  EXPECT_EQ(choose_identities(several, "a.example.org", "", kNow), (Indexes{0, 2}));
}

TEST(ChooseIdentities, WildcardStandsForOneLabel) {
  EXPECT_EQ(choose_identities(kSeveral, "x.b.example.org", "10.0.0.5", kNow), (Indexes{0}));
  EXPECT_EQ(choose_identities(kSeveral, "example.org", "fd00::5", kNow), (Indexes{2}));
  EXPECT_EQ(choose_identities(kSeveral, ".example.org", "fd00::5", kNow), (Indexes{2}));
}

TEST(ChooseIdentities, WithoutServerNameByLocalAddress) {
  EXPECT_EQ(choose_identities(kSeveral, "", "10.0.0.5", kNow), (Indexes{0}));
  EXPECT_EQ(choose_identities(kSeveral, "", "fd00::5", kNow), (Indexes{2}));
}

TEST(ChooseIdentities, OtherwiseOneOfEachKindAndNeverNone) {
  EXPECT_EQ(choose_identities(kSeveral, "", "192.0.2.1", kNow), (Indexes{0, 1}));
  EXPECT_EQ(choose_identities(kSeveral, "packages.test", "192.0.2.1", kNow), (Indexes{0, 1}));
  EXPECT_TRUE(choose_identities({}, "a", "b", kNow).empty());
}

TEST(ChooseIdentities, DefaultGoesWithSiblingsOfOtherKinds) {
  std::vector<IdentityFacts> several = kSeveral;
  several[2].is_default = true;
  EXPECT_EQ(choose_identities(several, "", "192.0.2.1", kNow), (Indexes{2}));
  several.push_back({.kind = kRsa, .dns_names = {"*.example.org"}, .addresses = {"fd00::5"}});
  EXPECT_EQ(choose_identities(several, "", "192.0.2.1", kNow), (Indexes{2, 4}));
  EXPECT_EQ(choose_identities(several, "a.example.org", "192.0.2.1", kNow), (Indexes{0, 1}));
}

TEST(ChooseIdentities, WhatHasExpiredOnlyWhereNothingElseFits) {
  std::vector<IdentityFacts> several = kSeveral;
  several[0].not_after = kNow - std::chrono::seconds(1);
  EXPECT_EQ(choose_identities(several, "a.example.org", "", kNow), (Indexes{1, 3}));
  EXPECT_EQ(choose_identities(several, "", "10.0.0.5", kNow), (Indexes{3}));
  several[1].not_after = several[3].not_after = several[0].not_after;
  EXPECT_EQ(choose_identities(several, "a.example.org", "", kNow), (Indexes{2}));
  EXPECT_EQ(choose_identities(several, "", "", kNow), (Indexes{2}));
  several[2].not_after = several[0].not_after;
  EXPECT_EQ(choose_identities(several, "a.example.org", "", kNow), (Indexes{0, 1}));
  EXPECT_EQ(choose_identities(several, "", "", kNow), (Indexes{0, 1}));
}

}  // namespace
}  // namespace larder::net
