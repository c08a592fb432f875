#include "node/first_slices.h"

#include <gtest/gtest.h>

namespace larder::node {
namespace {

using cache::SliceRange;

FirstSlices of(const char* range) {
  return first_slices(http::parse_earliest_range(range));
}

TEST(FirstSlices, ClosedRangeIsItsSlices) {
  EXPECT_EQ(of("bytes=0-0").slices, (SliceRange{0, 0}));
  EXPECT_EQ(of("bytes=1048575-2097152").slices, (SliceRange{0, 2}));
  EXPECT_FALSE(of("bytes=0-0").or_whole);
}

TEST(FirstSlices, OpenRangeBeginsAtItsSliceAndMayBecomeTheWhole) {
  EXPECT_EQ(of("bytes=5242880-").slices, (SliceRange{5, UINT32_MAX}));
  EXPECT_TRUE(of("bytes=5242880-").or_whole);
  EXPECT_EQ(of("bytes=1000-").slices, std::nullopt) << "that is all of it, almost";
}

TEST(FirstSlices, SuffixLearnsTheLengthFromTheFirstSlice) {
  EXPECT_EQ(of("bytes=-1000").slices, (SliceRange{0, 0}));
  EXPECT_TRUE(of("bytes=-1000").or_whole);
}

TEST(FirstSlices, OfSeveralRangesTheEarliestIsFetched) {
  EXPECT_EQ(of("bytes=5242880-5242881,1048576-1048577").slices, (SliceRange{1, 1}));
  EXPECT_EQ(of("bytes=5242880-5242881,-1").slices, (SliceRange{0, 0})) << "learns the length";
}

TEST(FirstSlices, EverythingElseIsTheWhole) {
  for (const char* range : {"", "bytes=0-1,x", "items=0-1", "bytes=0-18446744073709551614",
                            "bytes=18446744073709551614-"}) {
    EXPECT_EQ(of(range).slices, std::nullopt) << range;
  }
}

}  // namespace
}  // namespace larder::node
