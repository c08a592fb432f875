// The doctor's requests to the responders and lists that certificates name.
#pragma once

#include "base/clock.h"
#include "client/exchange.h"
#include "node/settings.h"

namespace larder::cli {

// They leave as those of a node with these settings would: the same way, the same addresses
// refused. The revocation list of the node's own site is asked from its own listener. All of them
// together take at most 30 s, and a place that did not answer is not asked again.
client::HttpExchange revocation_requests(const node::NodeSettings& settings,
                                         const base::Clock& clock);

}  // namespace larder::cli
