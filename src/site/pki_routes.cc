#include "site/routes.h"

namespace larder::site {

void add_pki_routes(server::Router& router, State& state, RevocationLists& lists) {
  router.add("GET", "/.larder/pki/{file}", [&state, &lists](const server::RouteRequest& request) {
    constexpr std::string_view kSuffix = ".crl";
    const std::string& file = request.captures.at("file");
    server::Reply reply;
    if (file == "root.crt") {
      reply.fields = {{"Content-Type", "application/x-pem-file"}};
      reply.body = state.authority->root().to_pem();
      return reply;
    }
    if (file.ends_with(kSuffix)) {
      if (auto list = lists.find(file.substr(0, file.size() - kSuffix.size()))) {
        reply.fields = {{"Content-Type", "application/pkix-crl"},
                        {"Cache-Control", "max-age=3600"}};
        reply.body = std::move(*list);
        return reply;
      }
    }
    return server::text_reply(404, "Here are root.crt and the issuers' .crl files.");
  });
}

}  // namespace larder::site
