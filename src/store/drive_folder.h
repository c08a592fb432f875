// What is found in the folder of a drive. Blocking.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "store/layout.h"

namespace larder::store {

// Who the drive is that the folder holds; nothing when it holds none yet. DataLoss when there is
// something in it that no drive of ours begins with: it is not to be touched.
base::Result<std::optional<Identity>> read_identity(const std::string& folder);

// Why the folder with this path is no longer the one whose file `lock` is open here: it was
// unmounted, moved away or emptied. Nothing when it still is, or when nobody can tell.
std::optional<std::string> why_gone(const std::string& folder, int lock);

}  // namespace larder::store
