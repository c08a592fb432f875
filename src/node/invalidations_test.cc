#include "node/invalidations.h"

#include <gtest/gtest.h>

#include <vector>

namespace larder::node {
namespace {

const base::WallTime kNow = base::from_unix_seconds(1795300000);
using std::chrono::seconds;

store::Key key(std::uint64_t number) {
  return {.high = number, .low = number * 7};
}
StoredPlace place(std::uint64_t number) {
  return {.url = key(number), .name = "http\na.example\n/dists/x", .origin = "packages"};
}

TEST(Invalidations, AreAboutWhatWasAskedForBefore) {
  Invalidations invalidations;
  const store::Key changed = key(1);
  EXPECT_FALSE(invalidations.since(place(1), kNow));
  invalidations.note({&changed, 1}, kNow);
  EXPECT_TRUE(invalidations.since(place(1), kNow - seconds{1}));
  EXPECT_TRUE(invalidations.since(place(1), kNow));
  EXPECT_FALSE(invalidations.since(place(1), kNow + seconds{1}));
  EXPECT_FALSE(invalidations.since(place(2), kNow - seconds{1}));
}

TEST(Invalidations, DoNotGoBackInTime) {
  Invalidations invalidations;
  const store::Key changed = key(1);
  for (const base::WallTime time : {kNow + seconds{2}, kNow}) {
    invalidations.note({&changed, 1}, time);
    invalidations.note_origin("mirrors", time);
  }
  EXPECT_TRUE(invalidations.since(place(1), kNow + seconds{1}));
  StoredPlace other = place(2);
  other.origin = "mirrors";
  EXPECT_TRUE(invalidations.since(other, kNow + seconds{1}));
}

TEST(Invalidations, OfAPrefixAreAboutEveryNameThatBeginsSo) {
  Invalidations invalidations;
  invalidations.note_prefix("http\na.example\n/dists/", kNow);
  EXPECT_TRUE(invalidations.since(place(1), kNow));
  EXPECT_FALSE(invalidations.since(place(1), kNow + seconds{1}));
  StoredPlace other = place(1);
  other.name = "http\na.example\n/pool/x";
  EXPECT_FALSE(invalidations.since(other, kNow));
}

TEST(Invalidations, OfAnOriginAreAboutAllThatItGives) {
  Invalidations invalidations;
  invalidations.note_origin("packages", kNow);
  EXPECT_TRUE(invalidations.since(place(1), kNow));
  EXPECT_FALSE(invalidations.since(place(1), kNow + seconds{1}));
  StoredPlace other = place(1);
  other.origin = "mirrors";
  EXPECT_FALSE(invalidations.since(other, kNow));
}

TEST(Invalidations, CountAsAllWhenThereAreTooManyAtOnce) {
  Invalidations invalidations;
  std::vector<store::Key> keys;
  for (std::uint64_t i = 0; i < Invalidations::kMost; ++i) keys.push_back(key(i));
  invalidations.note(keys, kNow);
  EXPECT_FALSE(invalidations.since(place(5000), kNow));
  const store::Key more = key(6000);
  invalidations.note({&more, 1}, kNow + seconds{1});
  EXPECT_TRUE(invalidations.since(place(5000), kNow));
  EXPECT_FALSE(invalidations.since(place(5000), kNow + seconds{2}));
}

TEST(Invalidations, CountAsAllForWhatWasAskedBeforeTheOldestThatIsKept) {
  Invalidations invalidations;
  std::vector<store::Key> keys;
  for (std::uint64_t i = 0; i < Invalidations::kMost; ++i) keys.push_back(key(i));
  invalidations.note(keys, kNow);
  const base::WallTime later = kNow + Invalidations::kKept + seconds{1};
  const store::Key more = key(6000);
  invalidations.note({&more, 1}, later);
  EXPECT_TRUE(invalidations.since(place(5), kNow)) << "it was forgotten";
  EXPECT_FALSE(invalidations.since(place(5000), later)) << "it was not changed";
  EXPECT_TRUE(invalidations.since(place(6000), later));
}

}  // namespace
}  // namespace larder::node
