#include "node/drive_advice.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <map>

#include "base/encoding.h"
#include "node/drive_mounts.h"
#include "store/drive_folder.h"
#include "store/room.h"

namespace larder::node {

std::vector<DrivePlace> find_drive_places(const NodeSettings& settings) {
  std::vector<DrivePlace> places;
  const DriveMounts before = load_drive_mounts(settings.state_dir);
  for (const DriveSettings& drive : settings.drives) {
    DrivePlace& place = places.emplace_back(DrivePlace{.drive = drive});
    std::filesystem::path folder = drive.path;
    struct stat status{};
    while (::stat(folder.c_str(), &status) != 0 && folder.has_relative_path()) {
      folder = folder.parent_path();
    }
    place.is_read_only = ::access(folder.c_str(), W_OK) != 0 && errno == EROFS;
    if (const auto identity = store::read_identity(drive.path);
        !identity && identity.error().code == base::ErrorCode::DataLoss) {
      place.unusable = identity.error().message;
    }
    if (const auto mount = find_drive_mount(drive.path)) {
      place.mount_point = mount->mount_point;
      const auto known = before.find(drive.path);
      if (known != before.end()) {
        const std::string why = why_not_mounted(settings.state_dir, known->second, *mount);
        if (!why.empty()) place.unusable = why;
      }
    }
    const auto space = store::file_system_space(folder.string());
    if (!space) continue;
    place.device = status.st_dev;
    place.total = space->total;
  }
  return places;
}

std::vector<std::string> advise_on_drives(const std::vector<DrivePlace>& places) {
  struct FileSystem {
    std::uint64_t total = 0;
    std::uint64_t wanted = 0;
    std::string paths;
  };
  std::map<std::uint64_t, FileSystem> found;
  for (const DrivePlace& place : places) {
    // A size that nobody asked for is cut to what there is without a word.
    if (place.total == 0 || place.drive.leaves_half) continue;
    FileSystem& one = found[place.device];
    one.total = place.total;
    one.wanted += place.drive.size;
    one.paths += (one.paths.empty() ? "" : " and ") + place.drive.path;
  }
  std::vector<std::string> advice;
  for (const DrivePlace& place : places) {
    if (!place.is_read_only) continue;
    advice.push_back("[[node.drive]] path: " + place.drive.path +
                     " is read-only here and will be left out; a service may only write to folders "
                     "that its unit names: `systemctl edit larder-node`, then the lines [Service] "
                     "and ReadWritePaths=" +
                     place.drive.path);
  }
  for (const DrivePlace& place : places) {
    if (place.unusable.empty()) continue;
    advice.push_back("[[node.drive]] path: " + place.drive.path +
                     " will be left out: " + place.unusable);
  }
  for (const auto& [device, one] : found) {
    if (one.wanted <= one.total) continue;
    advice.push_back("[[node.drive]] size: " + one.paths + " may take " +
                     base::format_byte_count(one.wanted) + ", but the file system there has " +
                     base::format_byte_count(one.total) +
                     ": the cache will use what is free and evict; lower the size, or use a "
                     "larger file system");
  }
  return advice;
}

}  // namespace larder::node
