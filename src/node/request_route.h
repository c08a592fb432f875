// How requests that the node makes for itself leave: to ACME servers, responders, receivers of
// alerts. (Fills have routes of their own, see origin_route.h.)
#pragma once

#include <string>

#include "base/error.h"
#include "client/http_client.h"
#include "node/settings.h"

namespace larder::node {

// Sends requests to the URL (http or https) through `proxy` of [node], unless `no_proxy` names its
// host. Reads the file of the proxy's credentials; errors are those of origin_pool_settings.
base::Status set_request_proxy(client::HttpRequest& request, const std::string& url,
                               const NodeSettings& settings);

}  // namespace larder::node
