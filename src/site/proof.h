// Who asks: the DPoP proof of a request to the management point. Private to this folder.
#pragma once

#include <string_view>

#include "site/replies.h"
#include "site/state.h"

namespace larder::site {

// The proof of the request, for `path` under the public URL. Otherwise the answer: 401 with a
// nonce and "use_dpop_nonce", 401 "invalid_dpop_proof", or 503.
OrReply<token::DpopProof> prove(State& state, const server::RouteRequest& request,
                                std::string_view path, std::string_view access_token = {});

// Adds the nonce for the client's next proof.
server::Reply with_nonce(const State& state, server::Reply reply);

}  // namespace larder::site
