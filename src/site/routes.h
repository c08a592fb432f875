// The handlers of the site's listeners, each folder of routes in its own file. Private to this
// folder. `State` outlives the routers.
#pragma once

#include "server/router.h"
#include "site/replies.h"
#include "site/revocation.h"
#include "site/serving.h"
#include "site/state.h"

namespace larder::site {

void add_pki_routes(server::Router& router, State& state, RevocationLists& lists);
void add_client_routes(server::Router& router, State& state);
void add_node_routes(server::Router& router, State& state);
void add_control_routes(server::Router& router, State& state);
// `GET /api/v1/status`, `/api/v1/nodes` and `/api/v1/certificates`: facts without secrets.
void add_status_routes(server::Router& router, const State& state, const Serving& serving);
// The same status and the page that shows it, for browsers on this machine only.
void add_page_routes(server::Router& router, const State& state, const Serving& serving);

}  // namespace larder::site
