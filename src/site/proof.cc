#include "site/proof.h"

#include "base/log.h"

namespace larder::site {

server::Reply with_nonce(const State& state, server::Reply reply) {
  reply.fields.emplace_back("DPoP-Nonce", state.proofs.nonce(state.clock.steady()));
  return reply;
}

OrReply<token::DpopProof> prove(State& state, const server::RouteRequest& request,
                                std::string_view path, std::string_view access_token) {
  const auto refuse = [&](int status, std::string_view error, std::string_view description) {
    server::Reply reply = oauth_error(status, error, description);
    if (status == 401) {
      reply.fields.emplace_back("WWW-Authenticate",
                                "DPoP algs=\"ES256\", error=\"" + std::string(error) + "\"");
    }
    return std::unexpected(with_nonce(state, std::move(reply)));
  };
  if (request.field_count("DPoP") != 1) {
    return refuse(401, "invalid_dpop_proof", "Exactly one DPoP proof is needed.");
  }
  const std::string url = state.settings.public_url + std::string(path);
  const token::DpopRequest wanted{request.method, url, access_token};
  auto proof =
      state.proofs.verify(request.field("DPoP"), wanted, state.clock.wall(), state.clock.steady());
  if (proof) return std::move(*proof);
  if (proof.error() == token::DpopRefusal::UseNonce) {
    return refuse(401, "use_dpop_nonce", token::description(proof.error()));
  }
  base::log_info("proof refused", {{"path", std::string(path)},
                                   {"reason", std::string(token::name(proof.error()))},
                                   {"address", request.peer.address}});
  if (proof.error() == token::DpopRefusal::Busy) {
    return refuse(503, "temporarily_unavailable", token::description(proof.error()));
  }
  return refuse(401, "invalid_dpop_proof", token::description(proof.error()));
}

}  // namespace larder::site
