#include "node/drive_mounts.h"

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/file.h"

namespace larder::node {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;
constexpr std::uint64_t kLongestFile = 1 << 20;

std::string file_in(const std::string& state_dir) {
  return state_dir + "/drives.json";
}

bool is_below(const std::string& path, const std::string& folder) {
  return path != folder && path.starts_with(folder.ends_with('/') ? folder : folder + "/");
}

}  // namespace

std::optional<DriveMount> find_drive_mount(const std::string& path) {
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(path, error);
  if (error) return std::nullopt;
  fs::path at = folder;
  struct stat status{};
  while (::stat(at.c_str(), &status) != 0) {
    if (!at.has_relative_path()) return std::nullopt;
    at = at.parent_path();
  }
  const dev_t device = status.st_dev;
  // By devices, because the folders that a service may write to are mount points in its view
  // whatever is mounted there.
  while (at.has_relative_path() && ::stat(at.parent_path().c_str(), &status) == 0 &&
         status.st_dev == device) {
    at = at.parent_path();
  }
  return DriveMount{.folder = folder.string(), .mount_point = at.string()};
}

DriveMounts load_drive_mounts(const std::string& state_dir) {
  DriveMounts mounts;
  const auto text = base::read_file(file_in(state_dir), kLongestFile);
  if (!text) return mounts;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object() || json.value("format", nlohmann::json()) != kFormat) return mounts;
  const auto drives = json.find("drives");
  if (drives == json.end() || !drives->is_object()) return mounts;
  for (const auto& [path, mount_point] : drives->items()) {
    if (mount_point.is_string()) mounts.emplace(path, mount_point.get<std::string>());
  }
  return mounts;
}

base::Status save_drive_mounts(const std::string& state_dir, const DriveMounts& mounts) {
  const nlohmann::json json = {{"format", kFormat}, {"drives", mounts}};
  using Json = nlohmann::json;
  // Paths need not be UTF-8.
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return base::write_file_atomically(file_in(state_dir), text, 0600);
}

std::string why_not_mounted(const std::string& state_dir, const std::string& before,
                            const DriveMount& now) {
  const bool is_in_it = now.folder == before || is_below(now.folder, before);
  if (!is_in_it || !is_below(before, now.mount_point)) return "";
  // What was kept there could be read: it is there, on another file system now.
  if (is_below(state_dir, before)) return "";
  return "it was on a file system at " + before +
         " that is not mounted now: mount it and start the node again. If the drive is to begin "
         "anew on " +
         now.mount_point + ", delete " + file_in(state_dir) + " first";
}

}  // namespace larder::node
