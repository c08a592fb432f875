// From a node's settings to those of the pool of connections to origins.
#pragma once

#include "base/error.h"
#include "client/origin_pool.h"
#include "node/settings.h"

namespace larder::node {

// Reads the file of the proxy's credentials: PermissionDenied when others than its owner and group
// may read it, InvalidArgument when it is not one line with user:password.
base::Result<client::OriginPoolSettings> origin_pool_settings(const NodeSettings& settings);

}  // namespace larder::node
