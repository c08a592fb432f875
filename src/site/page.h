// The status page: one file without a build step, held in the program. Private to this folder.
#pragma once

#include "server/router.h"

namespace larder::site {

// Made by CMake from console/status.html.
extern const char* const kStatusPage;

// The page with a policy that lets it run its own script and style and nothing else.
server::Reply status_page();

// True when the request has one Host field and it names this machine: localhost, 127.0.0.1 or
// [::1], with any port.
bool is_loopback_host(const server::RouteRequest& request);

}  // namespace larder::site
