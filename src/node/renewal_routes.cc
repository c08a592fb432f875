// The renewals of a node: with which signers, by which routes, and how they are counted.

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "node/node_parts.h"
#include "signers/command_signer.h"

namespace larder::node {

using base::Json;
using base::Result;

namespace {

Result<std::unique_ptr<certs::Signer>> make_signer(const SignerSettings& signer,
                                                   const SigningThread& thread) {
  const auto ending = [pause = thread.pause] { return !pause(std::chrono::milliseconds(0)); };
  return std::make_unique<signers::CommandSigner>(
      signers::CommandSettings{signer.command, signer.user, signer.timeout}, ending);
}

server::Reply ask(Node::Parts& parts, const std::string& body) {
  const auto json = base::parse_json(body);
  const auto name =
      json ? base::json_string(*json, "name") : Result<std::string>(std::unexpected(json.error()));
  if (!name) return server::problem_reply(400, "bad-json", name.error().message);
  const auto finished = parts.renewals->ask(*name);
  if (!finished) return server::problem_reply(404, "no-signer", finished.error().message);
  return server::json_reply(Json{{"finished", *finished}}.dump(), 202);
}

}  // namespace

void open_renewals(Node::Parts& parts) {
  RenewalSurroundings surroundings;
  surroundings.folder = parts.settings.state_dir + "/certificates";
  surroundings.settings = [&parts] {
    auto policy = parts.policy.get();
    return std::shared_ptr<const NodeSettings>(policy, &policy->settings);
  };
  surroundings.make_signer = make_signer;
  surroundings.take_over = [&parts] { return parts.reload_certificates(); };
  parts.renewals = std::make_unique<Renewals>(std::move(surroundings), parts.clock);
}

void add_renewal_routes(Node::Parts& parts) {
  server::Router& router = parts.control_router;
  router.add("POST", "/api/v1/certificates/renew",
             [&parts](const server::RouteRequest& request) { return ask(parts, request.body); });
  router.add("GET", "/api/v1/certificates/renewals", [&parts](const server::RouteRequest&) {
    Json list = Json::array();
    for (const Renewals::Facts& facts : parts.renewals->facts()) {
      list.push_back({{"name", facts.certificate},
                      {"running", facts.running},
                      {"finished", facts.finished},
                      {"failures", facts.failures},
                      {"error", facts.error}});
    }
    return server::json_reply(
        Json{{"renewals", std::move(list)}}.dump(-1, ' ', false, Json::error_handler_t::replace));
  });
}

void add_renewal_gauges(const Node::Parts& parts, std::vector<Gauge>& gauges) {
  for (const SignerSettings& signer : parts.policy.get()->settings.signers) {
    const auto record =
        certs::read_renewal_record(parts.settings.state_dir + "/certificates", signer.certificate);
    const std::string label = "{key=\"" + signer.certificate + "\"}";
    gauges.push_back({"larder_certificate_renewal_failures",
                      "Renewals that failed one after the other",
                      record ? static_cast<double>(record->attempts.failures) : 0.0, false, label});
  }
}

}  // namespace larder::node
