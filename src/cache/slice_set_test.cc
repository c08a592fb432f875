#include "cache/slice_set.h"

#include <gtest/gtest.h>

#include "store/store.h"

namespace larder::cache {
namespace {

using store::kSliceSize;

TEST(SliceSet, CountsTheBytesThatLieInItsSlicesAroundGaps) {
  SliceSet set;
  set.add(4);
  set.add(1);
  EXPECT_EQ(set.bytes_in(0, 10 * kSliceSize), 2 * kSliceSize);
  EXPECT_EQ(set.bytes_in(kSliceSize - 10, 30), 20U) << "from the middle of one that is not in it";
  EXPECT_EQ(set.bytes_in(2 * kSliceSize - 10, 30), 10U) << "to the middle of one that is not in it";
  EXPECT_EQ(set.bytes_in(4 * kSliceSize + 5, 7), 7U);
  EXPECT_EQ(set.bytes_in(5 * kSliceSize, kSliceSize), 0U);
  EXPECT_EQ(set.bytes_in(kSliceSize, 0), 0U);
}

TEST(SliceSet, HasNothingAtFirstAndAfterItWasCleared) {
  SliceSet set;
  EXPECT_EQ(set.bytes_in(0, 3 * kSliceSize), 0U);
  set.add(0);
  set.add_all();
  EXPECT_EQ(set.bytes_in(123, 3 * kSliceSize), 3 * kSliceSize);
  set.clear();
  EXPECT_EQ(set.bytes_in(0, 3 * kSliceSize), 0U);
}

}  // namespace
}  // namespace larder::cache
