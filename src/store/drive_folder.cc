#include "store/drive_folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/file.h"

namespace larder::store {
namespace {

constexpr std::uint64_t kLongestIdentity = 4096;

bool is_absence(int number) {
  return number == ENOENT || number == ENOTDIR;
}

}  // namespace

base::Result<std::optional<Identity>> read_identity(const std::string& folder) {
  const auto file = base::read_file(folder + "/store", kLongestIdentity);
  if (file) {
    auto identity = parse_identity(*file);
    if (identity) return identity;
    return base::fail(base::ErrorCode::DataLoss,
                      folder +
                          "/store is not a file of Larder's, or damaged: choose another folder, or "
                          "empty this one");
  }
  if (file.error().code != base::ErrorCode::NotFound) return std::unexpected(file.error());
  for (const char* name : {"objects", "segments", "journal"}) {
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::path(folder) / name, error)) {
      return base::fail(base::ErrorCode::DataLoss,
                        folder + " holds \"" + name +
                            "\" but no file \"store\", so it is not a drive of Larder's, or "
                            "damaged: choose another folder, or empty this one");
    }
  }
  return std::nullopt;
}

std::optional<std::string> why_gone(const std::string& folder, int lock) {
  struct stat ours{};
  struct stat named{};
  if (::fstat(lock, &ours) != 0) return std::nullopt;
  const std::string path = folder + "/lock";
  const bool is_there = ::stat(path.c_str(), &named) == 0;
  if (!is_there && !is_absence(errno)) return std::nullopt;
  if (!is_there || ours.st_dev != named.st_dev || ours.st_ino != named.st_ino) {
    return folder +
           " is not the folder any more that was opened at the start: it was unmounted, moved or "
           "emptied";
  }
  for (const char* name : {"store", "journal", "objects", "segments"}) {
    const std::string part = folder + "/" + name;
    if (::stat(part.c_str(), &named) != 0 && is_absence(errno)) return part + " was removed";
  }
  return std::nullopt;
}

}  // namespace larder::store
