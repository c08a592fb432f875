// The doctor's requests to the responders and lists that certificates name.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "client/exchange.h"
#include "node/settings.h"

namespace larder::cli {

// They leave as those of a node with these settings would: the same way, the same addresses
// refused; where the settings have no proxy, by the one that `environment` names for the host,
// which is to be empty for a node's own settings. The revocation list of the node's own site is
// asked from its own listener. They leave by `perform` and take at most 30 s together, whatever
// else is done between them; a place that did not answer is not asked again. PermissionDenied when
// nobody was asked. The clock must outlive it.
client::HttpExchange revocation_requests(const node::NodeSettings& settings,
                                         std::map<std::string, std::string> environment,
                                         const base::Clock& clock, client::HttpExchange perform);

}  // namespace larder::cli
