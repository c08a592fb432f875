// What reading the settings alone cannot see: the files, programs and users that they name.
#pragma once

#include "base/error.h"
#include "node/settings.h"

namespace larder::node {

// That each is there and is what its setting wants, as far as it can be told without using it. The
// error says which setting, what is wrong and what mends it.
base::Status check_setting_files(const NodeSettings& settings);

}  // namespace larder::node
