// Commands that write a service's state files must leave nothing that the service cannot read.
#pragma once

#include <string>

#include "base/error.h"

namespace larder::cli {

// When this process is root and the folder belongs to another user, becomes that user (with their
// groups) for good. A folder that does not exist changes nothing.
base::Status become_owner_of(const std::string& folder);

}  // namespace larder::cli
