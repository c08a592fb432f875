// Where a device keeps its key and registration.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace larder::cli {

inline constexpr const char* kDeviceFolderText =
    "The device's folder; default: $LARDER_DEVICE_DIR, then /var/lib/larder/device for root, else "
    "~/.local/state/larder.";

inline std::string device_folder(const std::string& given) {
  if (!given.empty()) return given;
  if (const char* set = std::getenv("LARDER_DEVICE_DIR"); set != nullptr && *set != '\0')
    return set;
  const char* const home = std::getenv("HOME");
  if (geteuid() == 0 || home == nullptr || *home == '\0') return "/var/lib/larder/device";
  return std::string(home) + "/.local/state/larder";
}

}  // namespace larder::cli
