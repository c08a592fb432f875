// Serves a Router on a listener: reads whole requests, runs the route's handler, writes the reply.
#pragma once

#include <memory>

#include "net/worker_pool.h"
#include "server/exchange.h"
#include "server/router.h"

namespace larder::server {

// The router and the pool outlive the server. Blocking handlers run on the pool; when its queue is
// full the answer is 503.
HandlerFactory route_with(const Router& router, net::WorkerPool& pool);

}  // namespace larder::server
