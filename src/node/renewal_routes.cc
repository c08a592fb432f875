// The renewals of a node: with which signers, by which routes, and how they are counted.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "certs/renewal_target.h"
#include "crypto/digest.h"
#include "node/node_parts.h"
#include "node/request_route.h"
#include "node/signer_settings.h"
#include "signers/acme_signer.h"
#include "signers/command_signer.h"
#include "signers/renewal_info.h"
#include "signers/socket_signer.h"

namespace larder::node {

using base::Json;
using base::Result;

namespace {

constexpr std::uint64_t kTrustLimit = 8 << 20;  // bytes
// In a row, which are five minutes: an authority that starts together with the node is no trouble.
constexpr unsigned kFailuresTold = 3;

// One account for each server: the certificates of a node share it.
std::string account_folder(const Node::Parts& parts, const std::string& directory) {
  return parts.settings.state_dir + "/acme/" + crypto::sha256_hex(directory).substr(0, 16);
}

Result<std::unique_ptr<certs::Signer>> make_acme_signer(Node::Parts& parts,
                                                        const SignerSettings& signer,
                                                        const SigningThread& thread,
                                                        const crypto::Certificate* replaced) {
  const auto policy = parts.policy.get();
  signers::AcmeSettings settings;
  settings.server.directory = signer.directory;
  settings.server.folder = account_folder(parts, signer.directory);
  settings.server.contact = signer.contact;
  settings.server.accept_terms = signer.accept_terms;
  if (!signer.external_key_file.empty()) {
    auto key = read_external_key(signer.external_key_file);
    if (!key) return std::unexpected(key.error());
    settings.server.external_key_id = signer.external_key_id;
    settings.server.external_key = std::move(*key);
  }
  if (!signer.ca_file.empty()) {
    auto roots = base::read_file(signer.ca_file, kTrustLimit);
    if (!roots) return std::unexpected(roots.error());
    settings.server.trust = std::move(*roots);
  }
  settings.proof = signer.challenge == AcmeChallengeType::Http01
                       ? signers::AcmeProofKind::Http01
                       : signers::AcmeProofKind::TlsAlpn01;
  settings.order_file = settings.server.folder + "/order-" + signer.certificate + ".json";
  if (replaced != nullptr) {
    settings.replaces = signers::renewal_info_id(*replaced).value_or("");
  }
  settings.preferred_chain = signer.preferred_chain;
  settings.timeout = signer.timeout;
  LARDER_TRY(base::make_directories(parts.settings.state_dir + "/acme", 0700));
  const client::HttpExchange exchange =
      [direct = thread.exchange, policy,
       directory = signer.directory](client::HttpRequest request) -> Result<client::HttpResponse> {
    const UrlSource source = source_of(request.url, directory);
    LARDER_TRY(set_request_route(request, request.url, source, policy->settings));
    return with_advice(direct(request));
  };
  return std::make_unique<signers::AcmeSigner>(std::move(settings), exchange, thread.pause,
                                               parts.challenges, parts.clock);
}

Result<std::unique_ptr<certs::Signer>> make_signer(Node::Parts& parts, const SignerSettings& signer,
                                                   const SigningThread& thread,
                                                   const crypto::Certificate* replaced) {
  if (signer.type == SignerType::Acme) return make_acme_signer(parts, signer, thread, replaced);
  const auto ending = [pause = thread.pause] { return !pause(std::chrono::milliseconds(0)); };
  if (!signer.socket.empty()) {
    return std::make_unique<signers::SocketSigner>(
        signers::SocketSettings{signer.socket, signer.user, signer.timeout}, ending);
  }
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
  surroundings.make_signer = [&parts](const SignerSettings& signer, const SigningThread& thread,
                                      const crypto::Certificate* replaced) {
    return make_signer(parts, signer, thread, replaced);
  };
  surroundings.take_over = [&parts] { return parts.reload_certificates(); };
  surroundings.failed = [&parts] { parts.watch->wake(); };
  parts.renewals = std::make_unique<Renewals>(std::move(surroundings), parts.clock);
}

void add_renewal_routes(Node::Parts& parts) {
  server::Router& router = parts.control_router;
  router.add("POST", "/api/v1/certificates/renew",
             [&parts](const server::RouteRequest& request) { return ask(parts, request.body); });
  router.add("GET", "/api/v1/certificates/renewals", [&parts](const server::RouteRequest&) {
    Json list = Json::array();
    for (const RenewalFacts& facts : parts.renewals->facts()) {
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

void add_missing_certificates(const Node::Parts& parts, std::vector<CertificateTrouble>& troubles) {
  const auto inventory = parts.certificates->list();
  if (!inventory) return;  // which is a trouble of its own
  for (const RenewalFacts& facts : parts.renewals->facts()) {
    if (facts.failures < kFailuresTold) continue;
    const std::string& name = facts.certificate;
    if (!certs::waits_for_certificate(certs::renewal_target(*inventory, name))) continue;
    troubles.push_back({.kind = "certificate-missing",
                        .text = fmt::format("there is no certificate for {0}: its signer has "
                                            "failed {1} times, the last time with: "
                                            "{2}; `larder cert list` says when it is tried again, "
                                            "`larder cert renew {0}` tries at "
                                            "once",
                                            name, facts.failures, facts.error),
                        .about = {{"name", name}}});
  }
}

void add_renewal_gauges(const Node::Parts& parts, std::vector<Gauge>& gauges) {
  const auto inventory = parts.certificates->list();
  for (const SignerSettings& signer : parts.policy.get()->settings.signers) {
    const auto record =
        certs::read_renewal_record(parts.settings.state_dir + "/certificates", signer.certificate);
    const std::string label = "{key=\"" + signer.certificate + "\"}";
    gauges.push_back({"larder_certificate_renewal_failures",
                      "Renewals that failed one after the other",
                      record ? static_cast<double>(record->attempts.failures) : 0.0, false, label});
    if (!inventory) continue;
    const auto target = certs::renewal_target(*inventory, signer.certificate);
    gauges.push_back({"larder_certificate_missing",
                      "1 while a key that has a signer has no certificate to serve with",
                      certs::waits_for_certificate(target) ? 1.0 : 0.0, false, label});
  }
}

}  // namespace larder::node
