// The files of packaging/profiles as the build found them. Made by CMake.
#pragma once

#include <span>
#include <string_view>

namespace larder::node {

struct ShippedProfile {
  std::string_view file_name;
  std::string_view text;
};

std::span<const ShippedProfile> shipped_profile_files();

}  // namespace larder::node
