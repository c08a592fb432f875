#include "node/invalidations.h"

#include <gtest/gtest.h>

#include <vector>

namespace larder::node {
namespace {

store::Key key(std::uint64_t number) {
  return {.high = number, .low = number * 7};
}
StoredPlace place(std::uint64_t number) {
  return {.url = key(number), .name = "http\na.example\n/dists/x", .origin = "packages"};
}
void note(Invalidations& invalidations, std::uint64_t number) {
  const store::Key changed = key(number);
  invalidations.note({&changed, 1});
}

TEST(Invalidations, AreAboutWhatWasAskedForBefore) {
  Invalidations invalidations;
  const auto before = invalidations.now();
  EXPECT_FALSE(invalidations.since(place(1), before));
  note(invalidations, 1);
  EXPECT_TRUE(invalidations.since(place(1), before));
  EXPECT_FALSE(invalidations.since(place(1), invalidations.now()));
  EXPECT_FALSE(invalidations.since(place(2), before));
}

TEST(Invalidations, OfOnesOwnAreToldFromThoseOfOthers) {
  Invalidations invalidations;
  const store::Key changed = key(1);
  const auto own = invalidations.note({&changed, 1});
  EXPECT_FALSE(invalidations.since(place(1), own));
  note(invalidations, 2);
  EXPECT_FALSE(invalidations.since(place(1), own));
  note(invalidations, 1);
  EXPECT_TRUE(invalidations.since(place(1), own));
}

TEST(Invalidations, OfAPrefixAreAboutEveryNameThatBeginsSo) {
  Invalidations invalidations;
  const auto before = invalidations.now();
  const auto after = invalidations.note_prefix("http\na.example\n/dists/");
  EXPECT_TRUE(invalidations.since(place(1), before));
  EXPECT_FALSE(invalidations.since(place(1), after));
  StoredPlace other = place(1);
  other.name = "http\na.example\n/pool/x";
  EXPECT_FALSE(invalidations.since(other, before));
}

TEST(Invalidations, OfAnOriginAreAboutAllThatItGives) {
  Invalidations invalidations;
  const auto before = invalidations.now();
  const auto after = invalidations.note_origin("packages");
  EXPECT_TRUE(invalidations.since(place(1), before));
  EXPECT_FALSE(invalidations.since(place(1), after));
  StoredPlace other = place(1);
  other.origin = "mirrors";
  EXPECT_FALSE(invalidations.since(other, before));
  invalidations.note_origin("packages");
  EXPECT_TRUE(invalidations.since(place(1), after)) << "the same once more";
}

TEST(Invalidations, CountAsAllWhenThereAreTooManyAtOnce) {
  Invalidations invalidations;
  const auto before = invalidations.now();
  for (std::uint64_t i = 0; i < Invalidations::kMost; ++i) note(invalidations, i);
  EXPECT_FALSE(invalidations.since(place(5000), before));
  const auto full = invalidations.now();
  note(invalidations, 6000);
  EXPECT_TRUE(invalidations.since(place(5000), before)) << "it may have been forgotten";
  EXPECT_FALSE(invalidations.since(place(5000), full)) << "all since then is remembered";
  EXPECT_TRUE(invalidations.since(place(6000), full));
  EXPECT_TRUE(invalidations.since(place(Invalidations::kMost - 1), full - 1));
}

TEST(Invalidations, OfManyPrefixesAndOriginsAreBoundedToo) {
  Invalidations invalidations;
  const auto before = invalidations.now();
  for (std::uint64_t i = 0; i <= Invalidations::kMost; ++i) {
    invalidations.note_prefix("http\nb.example\n/" + std::to_string(i));
  }
  EXPECT_TRUE(invalidations.since(place(1), before));
  EXPECT_FALSE(invalidations.since(place(1), invalidations.now() - 10));
}

}  // namespace
}  // namespace larder::node
