// Where a download ends up on disk. Private to this folder.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace larder::agent {

inline constexpr std::string_view kPartSuffix = ".larder-part";

bool is_folder(const std::string& path);

// The path of one downloaded file: `output` itself, or `name` inside it when it is a folder, or
// `name` in the current folder when it is empty.
std::string target_path(const std::string& output, const std::string& name);

// Whether the file at the path has this size and SHA-256 already.
bool is_there(const std::string& path, std::uint64_t size, std::string_view sha256);

// Hexadecimal SHA-256 of a file.
base::Result<std::string> sha256_of(const std::string& path);

}  // namespace larder::agent
