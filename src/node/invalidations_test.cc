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

TEST(Invalidations, AreAboutWhatWasAskedForBefore) {
  Invalidations invalidations;
  const store::Key changed = key(1);
  EXPECT_FALSE(invalidations.since(changed, kNow));
  invalidations.note({&changed, 1}, kNow);
  EXPECT_TRUE(invalidations.since(changed, kNow - seconds{1}));
  EXPECT_TRUE(invalidations.since(changed, kNow));
  EXPECT_FALSE(invalidations.since(changed, kNow + seconds{1}));
  EXPECT_FALSE(invalidations.since(key(2), kNow - seconds{1}));
}

TEST(Invalidations, CountAsAllWhenThereAreTooManyAtOnce) {
  Invalidations invalidations;
  std::vector<store::Key> keys;
  for (std::uint64_t i = 0; i < Invalidations::kMost; ++i) keys.push_back(key(i));
  invalidations.note(keys, kNow);
  EXPECT_FALSE(invalidations.since(key(5000), kNow));
  const store::Key more = key(6000);
  invalidations.note({&more, 1}, kNow + seconds{1});
  EXPECT_TRUE(invalidations.since(key(5000), kNow));
  EXPECT_FALSE(invalidations.since(key(5000), kNow + seconds{2}));
}

TEST(Invalidations, ForgetWhatNoFetchCanPrecede) {
  Invalidations invalidations;
  std::vector<store::Key> keys;
  for (std::uint64_t i = 0; i < Invalidations::kMost; ++i) keys.push_back(key(i));
  invalidations.note(keys, kNow);
  const base::WallTime later = kNow + Invalidations::kKept + seconds{1};
  const store::Key more = key(6000);
  invalidations.note({&more, 1}, later);
  EXPECT_FALSE(invalidations.since(key(5000), kNow));
  EXPECT_TRUE(invalidations.since(more, later));
}

}  // namespace
}  // namespace larder::node
