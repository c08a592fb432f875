// What can be said of drives before anything is written to them. The store copes with all of it;
// an administrator wants to know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/settings.h"

namespace larder::node {

// The file system on which a drive lies, or will lie.
struct DrivePlace {
  DriveSettings drive;
  std::uint64_t device = 0;
  std::uint64_t total = 0;  // bytes of the file system; 0: it could not be found out
  bool is_read_only = false;
  // Why what the folder holds, or the file system below it, is not to be used; empty: it is.
  std::string unusable{};
  std::string mount_point{};  // empty: it could not be found out
};
// Blocking. A folder that is not there yet is judged by the nearest one above it.
std::vector<DrivePlace> find_drive_places(const NodeSettings& settings);

// One sentence for each file system that is smaller than the sizes of its drives together, and for
// each drive that cannot be written to. Pure.
std::vector<std::string> advise_on_drives(const std::vector<DrivePlace>& places);

}  // namespace larder::node
