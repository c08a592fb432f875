// A running node and the signals to its process.
#pragma once

#include "cli/process.h"
#include "node/node.h"

namespace larder::cli {

// The node outlives the actions.
Signals::Actions node_actions(node::Node& node);

}  // namespace larder::cli
