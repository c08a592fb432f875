#include "node/drive_mounts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/testing.h"

namespace larder::node {
namespace {

TEST(DriveMounts, ADriveWhoseFileSystemIsNotMountedIsToldWithWhatToDo) {
  const std::string why =
      why_not_mounted("/state", "/mnt/ssd", {.folder = "/mnt/ssd/cache", .mount_point = "/"});
  EXPECT_NE(why.find("at /mnt/ssd that is not mounted"), std::string::npos) << why;
  EXPECT_NE(why.find("delete /state/drives.json"), std::string::npos) << why;
  EXPECT_NE(why_not_mounted("/state", "/mnt/ssd", {.folder = "/mnt/ssd", .mount_point = "/mnt"}),
            "");
}

TEST(DriveMounts, WhatIsMountedOrWasNeverMountedIsUsed) {
  const auto why = [](const char* before, const char* folder, const char* now) {
    return why_not_mounted("/state", before, {.folder = folder, .mount_point = now});
  };
  EXPECT_EQ(why("/mnt/ssd", "/mnt/ssd/cache", "/mnt/ssd"), "");
  EXPECT_EQ(why("/", "/srv/cache", "/"), "") << "never on one of its own";
  EXPECT_EQ(why("/", "/mnt/ssd/cache", "/mnt/ssd"), "") << "moved to one of its own";
  EXPECT_EQ(why("/mnt/ssd", "/mnt/ssd/cache", "/mnt/ssd/cache"), "") << "the same, further down";
  EXPECT_EQ(why("/mnt/ssd", "/srv/cache", "/"), "") << "the path is a link that was changed";
  EXPECT_EQ(why("/mnt/ss", "/mnt/ssd", "/"), "") << "another name that begins alike";
  EXPECT_EQ(why_not_mounted("/var/lib/larder", "/var",
                            {.folder = "/var/cache/larder", .mount_point = "/"}),
            "")
      << "its file system was merged into another, and the state with it";
}

TEST(DriveMounts, TheMountPointOfAFolderIsFoundThroughLinksAndBeforeItIsThere) {
  const auto proc = find_drive_mount("/proc/self");
  ASSERT_TRUE(proc);
  EXPECT_EQ(proc->mount_point, "/proc");
  const base::TemporaryFolder folder;
  std::filesystem::create_directory_symlink("/proc/sys", folder.path() + "/link");
  const auto linked = find_drive_mount(folder.path() + "/link");
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked->folder, "/proc/sys");
  const auto here = find_drive_mount(folder.path());
  const auto below = find_drive_mount(folder.path() + "/not/yet");
  ASSERT_TRUE(here && below);
  EXPECT_EQ(below->mount_point, here->mount_point);
}

TEST(DriveMounts, AreKept) {
  const base::TemporaryFolder folder;
  EXPECT_TRUE(load_drive_mounts(folder.path()).empty());
  const DriveMounts mounts = {{"/srv/a", "/"}, {"/mnt/b/cache", "/mnt/b"}};
  ASSERT_TRUE(save_drive_mounts(folder.path(), mounts));
  EXPECT_EQ(load_drive_mounts(folder.path()), mounts);
  for (const char* damaged : {"", "[]", R"({"format": 2, "drives": {"/a": "/"}})",
                              R"({"format": 1, "drives": [1]})", R"({"format": 1})"}) {
    std::ofstream(folder.path() + "/drives.json", std::ios::trunc) << damaged;
    EXPECT_TRUE(load_drive_mounts(folder.path()).empty()) << damaged;
  }
}

}  // namespace
}  // namespace larder::node
