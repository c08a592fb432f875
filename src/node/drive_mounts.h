// Where the file systems of the drives are mounted. It is kept over restarts, so that the folder
// below a file system that is not mounted is not taken for a new, empty drive.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/error.h"

namespace larder::node {

// A drive's folder without symbolic links, and the folder at which its file system begins.
struct DriveMount {
  std::string folder;
  std::string mount_point;
};
// Blocking. A folder that is not there yet lies where the nearest one above it does. Nothing when
// it cannot be found out.
std::optional<DriveMount> find_drive_mount(const std::string& path);

// Mount points by the paths of drives.
using DriveMounts = std::map<std::string, std::string>;
// What was kept in a node's state folder; nothing when that cannot be read. Blocking.
DriveMounts load_drive_mounts(const std::string& state_dir);
base::Status save_drive_mounts(const std::string& state_dir, const DriveMounts& mounts);

// Why a drive is not to be used: it was on a file system with the mount point `before` that is not
// mounted now, so that its folder lies on the one around that. Empty when there is no reason. Pure.
std::string why_not_mounted(const std::string& state_dir, const std::string& before,
                            const DriveMount& now);

}  // namespace larder::node
