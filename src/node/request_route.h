// How requests that the node makes for itself leave: to ACME servers, responders, receivers of
// alerts. (Fills have routes of their own, see origin_route.h.)
#pragma once

#include <string>

#include "base/error.h"
#include "client/http_client.h"
#include "node/settings.h"

namespace larder::node {

// Who wrote an address that the node is to ask. What the administrator wrote as a number he meant;
// what a certificate or an answer says is somebody else's.
enum class UrlSource { Settings, Elsewhere };

// Of a URL that came from where `configured` (https both) leads: what the administrator meant is
// that host at that port, and nothing else.
UrlSource source_of(const std::string& url, const std::string& configured);

// Lets requests to the URL (http or https) go to public and private addresses and to those of
// `request_allow_addresses`, or through `proxy` of [node] unless `no_proxy` names the host.
// PermissionDenied when the URL names an address that is not allowed, InvalidArgument when its host
// cannot be read. Reads the file of the proxy's credentials; its errors are those of
// origin_pool_settings.
base::Status set_request_route(client::HttpRequest& request, const std::string& url,
                               UrlSource source, const NodeSettings& settings);

// What an exchange said about such a request: one that was refused names the setting.
base::Result<client::HttpResponse> with_advice(base::Result<client::HttpResponse> answer);

}  // namespace larder::node
