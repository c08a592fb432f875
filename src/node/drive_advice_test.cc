#include "node/drive_advice.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing.h"

namespace larder::node {
namespace {

constexpr std::uint64_t kGB = 1'000'000'000;

DrivePlace place(const char* path, std::uint64_t size, std::uint64_t device, std::uint64_t total) {
  return {.drive = {.path = path, .size = size}, .device = device, .total = total};
}

TEST(DriveAdvice, SizesThatFitNeedNone) {
  EXPECT_TRUE(
      advise_on_drives({place("/a", 60 * kGB, 1, 100 * kGB), place("/b", 40 * kGB, 1, 100 * kGB),
                        place("/c", 90 * kGB, 2, 100 * kGB)})
          .empty());
}

TEST(DriveAdvice, SizesOnOneFileSystemAreCountedTogether) {
  const auto advice =
      advise_on_drives({place("/a", 60 * kGB, 1, 100 * kGB), place("/b", 60 * kGB, 1, 100 * kGB),
                        place("/c", 90 * kGB, 2, 100 * kGB)});
  ASSERT_EQ(advice.size(), 1U);
  EXPECT_NE(advice[0].find("/a and /b"), std::string::npos) << advice[0];
  EXPECT_EQ(advice[0].find("/c"), std::string::npos) << advice[0];
}

TEST(DriveAdvice, WhatNobodyAskedForAndWhatCannotBeFoundOutIsNotTold) {
  DrivePlace by_default = place("/a", 100 * kGB, 1, 40 * kGB);
  by_default.drive.leaves_half = true;
  EXPECT_TRUE(advise_on_drives({by_default, place("/b", kGB, 0, 0)}).empty());
}

TEST(DriveAdvice, AReadOnlyDriveIsToldWithTheLineThatAllowsIt) {
  DrivePlace locked = place("/mnt/ssd1", kGB, 1, 100 * kGB);
  locked.is_read_only = true;
  const auto advice = advise_on_drives({locked, place("/mnt/ssd2", kGB, 2, 100 * kGB)});
  ASSERT_EQ(advice.size(), 1U);
  EXPECT_TRUE(advice[0].ends_with("ReadWritePaths=/mnt/ssd1")) << advice[0];
}

TEST(DriveAdvice, AFolderThatIsNotThereYetIsJudgedByTheOneAboveIt) {
  NodeSettings settings;
  settings.drives = {{.path = "/no such folder/cache", .size = 1ULL << 50}};
  const auto places = find_drive_places(settings);
  ASSERT_EQ(places.size(), 1U);
  EXPECT_GT(places[0].total, 0U);
  EXPECT_EQ(advise_on_drives(places).size(), 1U);
}

TEST(DriveAdvice, AFolderOfSomethingElseIsToldWithWhatItHolds) {
  const base::TemporaryFolder folder;
  NodeSettings settings;
  settings.drives = {{.path = folder.path(), .size = 1}};
  EXPECT_TRUE(advise_on_drives(find_drive_places(settings)).empty()) << "an empty one";
  ASSERT_TRUE(base::make_directories(folder.path() + "/objects", 0700));
  const auto advice = advise_on_drives(find_drive_places(settings));
  ASSERT_EQ(advice.size(), 1U);
  EXPECT_NE(advice[0].find(folder.path() + " will be left out"), std::string::npos) << advice[0];
  EXPECT_NE(advice[0].find("\"objects\""), std::string::npos) << advice[0];
}

}  // namespace
}  // namespace larder::node
