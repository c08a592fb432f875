// The watch over what a node depends on, its certificates and drives: what it looks at, and where
// it shows what it found.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/log.h"
#include "certs/chain_end.h"
#include "node/alert_settings.h"
#include "node/node_parts.h"
#include "node/request_route.h"

namespace larder::node {

using base::Json;

namespace {

constexpr std::size_t kClientsShown = 20;

std::vector<ShownCertificate> shown_certificates(const Node::Parts& parts) {
  std::vector<ShownCertificate> shown;
  for (ServingCertificates::Shown& each : parts.serving.shown()) {
    auto chain = crypto::parse_certificates(each.chain_pem);
    if (chain && !chain->empty()) {
      shown.push_back({std::move(each.name), std::move(*chain), each.is_accepted});
    }
  }
  return shown;
}

void add_unusable(const Node::Parts& parts, std::vector<CertificateTrouble>& troubles) {
  const auto active = parts.certificates->load_active();
  if (!active) {
    troubles.push_back(
        {.kind = "certificate-unusable",
         .text = "which certificates to serve cannot be read: " + active.error().message,
         .about = {}});
    return;
  }
  for (const certs::ActiveState::Damage& each : active->damaged) {
    const std::string& id = each.choice.certificate_id;
    const std::string until_then =
        parts.serving.pki(id) ? "served from memory until the node stops" : "not served";
    troubles.push_back({.kind = "certificate-unusable",
                        .text = "certificate " + each.choice.key_name + " (" + id.substr(0, 16) +
                                ") is " + until_then + ": " + each.error.message +
                                "; put the file back, or import another certificate and then drop "
                                "this one: larder cert retire " +
                                id.substr(0, 16),
                        .about = {{"certificate", id}}});
  }
}

// Nobody has decided it at that moment, and no certificate is shown that could be told of.
void add_withdrawn(const Node::Parts& parts, std::vector<CertificateTrouble>& troubles) {
  const auto active = parts.certificates->load_active();
  if (!active || !active->disabled || !active->reason.starts_with(kWithdrawnReason)) return;
  troubles.push_back({.kind = "https-disabled",
                      .text = "HTTPS is disabled, because the only certificate is " +
                              active->reason +
                              ": import a new one with larder cert import, then run larder cert "
                              "enable",
                      .about = {}});
}

// After an import that left names out, or when the settings have changed since.
void add_uncovered(const Node::Parts& parts, std::vector<CertificateTrouble>& troubles) {
  if (parts.serving.choice().delivery == CertificateSource::None) return;
  const std::vector<ShownCertificate> shown = shown_certificates(parts);
  for (const std::string& name : parts.policy.get()->settings.connection_names) {
    if (std::ranges::any_of(shown, [&](const auto& each) { return each.chain[0].covers(name); }))
      continue;
    troubles.push_back({.kind = "certificate-name-missing",
                        .text = "no certificate that is served covers " + name +
                                ": clients that connect by it refuse; import one that does, or "
                                "correct connection_names",
                        .about = {{"name", name}}});
  }
}

struct Standing {
  bool is_chosen = false;      // by the administrator: it is not the site's own
  bool others_remain = false;  // to go on with
};

// The site's own is shown only when there is no other.
base::Result<Standing> standing_of(const Node::Parts& parts, const std::string& id) {
  const auto active = parts.certificates->load_active();
  if (!active) return std::unexpected(active.error());
  const base::WallTime now = parts.clock.wall();
  Standing standing;
  for (const certs::ServingCertificate& each : active->certificates) {
    if (each.choice.certificate_id == id) {
      standing.is_chosen = true;
    } else if (each.chain.front().not_after() > now) {
      standing.others_remain = true;
    }
  }
  // One that the next start could not serve is served until then.
  for (const certs::ActiveState::Damage& each : active->damaged) {
    if (each.choice.certificate_id == id) standing.is_chosen = true;
  }
  return standing;
}

base::Status withdraw(Node::Parts& parts, const std::string& id, const std::string& reason) {
  const base::WallTime now = parts.clock.wall();
  const auto standing = standing_of(parts, id);
  if (!standing) return std::unexpected(standing.error());
  // First: without a certificate of the administrator's the site's own would be shown next.
  if (!standing->others_remain) LARDER_TRY(parts.certificates->disable(reason, now));
  if (standing->is_chosen) {
    LARDER_TRY(parts.certificates->retire(id, {.reason = reason, .revoked = true}, now));
  }
  LARDER_TRY(parts.reload_certificates());
  base::log_warning(
      standing->others_remain
          ? "a revoked certificate is not served any more, the others are: import a new one "
            "with larder cert import"
          : "HTTPS is disabled, because the only certificate is revoked: import a new one with "
            "larder cert import, then run larder cert enable",
      {{"certificate", id}, {"reason", reason}});
  return {};
}

bool take_out_of_service(Node::Parts& parts, const std::string& id, const std::string& reason) {
  const base::Status done = withdraw(parts, id, reason);
  if (!done) {
    base::log_error("a revoked certificate cannot be taken out of service, it is tried again",
                    {{"certificate", id}, {"why", reason}, {"reason", done.error().message}});
  }
  return done.has_value();
}

Json describe(const CertificateWatch::Facts& facts, const alerts::Notifier::Facts& webhook) {
  Json revocations = Json::array();
  for (const CertificateWatch::Revocation& each : facts.revocations) {
    revocations.push_back(
        {{"name", each.name},
         {"sha256", each.id},
         {"state", std::string(name(each.state))},
         {"source", each.source},
         {"error", each.error},
         {"looked_at", base::to_rfc3339(each.looked_at)},
         {"stapled_until",
          each.stapled_until ? Json(base::to_rfc3339(*each.stapled_until)) : Json(nullptr)}});
  }
  Json clients = Json::array();
  for (const HandshakeFailures::Client& client : facts.handshakes.clients) {
    if (clients.size() == kClientsShown) break;
    clients.push_back({{"address", client.address},
                       {"cause", client.cause},
                       {"failures", client.failures},
                       {"last", base::to_rfc3339(client.last)}});
  }
  Json silent = Json::array();
  for (const HandshakeFailures::Silent& client : facts.handshakes.silent) {
    if (silent.size() == kClientsShown) break;
    silent.push_back({{"address", client.address},
                      {"connections", client.connections},
                      {"certificate", client.certificate},
                      {"last", base::to_rfc3339(client.last)}});
  }
  return {{"alerts", facts.alerts},
          {"revocation", std::move(revocations)},
          {"handshake_failures",
           {{"by_cause", facts.handshakes.by_cause}, {"clients", std::move(clients)}}},
          {"closed_without_request",
           {{"connections", facts.handshakes.silent_connections}, {"clients", std::move(silent)}}},
          {"webhook", {{"waiting", webhook.waiting}, {"undelivered", webhook.undelivered}}}};
}

void open_notifier(Node::Parts& parts) {
  alerts::NotifierSurroundings surroundings;
  surroundings.state_file = parts.settings.state_dir + "/alerts.json";
  surroundings.node = parts.settings.name;
  surroundings.webhook = [&parts] { return webhook_of(parts.policy.get()->settings); };
  surroundings.send =
      [&parts](const client::HttpExchange& direct,
               const client::HttpRequest& request) -> base::Result<client::HttpResponse> {
    client::HttpRequest routed = request;
    const auto policy = parts.policy.get();
    LARDER_TRY(set_request_route(routed, routed.url, UrlSource::Settings, policy->settings));
    return with_advice(direct(routed));
  };
  parts.notifier = std::make_unique<alerts::Notifier>(std::move(surroundings), parts.clock);
}

}  // namespace

void open_watch(Node::Parts& parts) {
  open_notifier(parts);
  parts.drive_watch = std::make_unique<DriveWatch>(*parts.store, *parts.notifier, parts.clock);
  WatchSurroundings surroundings;
  surroundings.notifier = parts.notifier.get();
  surroundings.shown = [&parts] { return shown_certificates(parts); };
  surroundings.troubles = [&parts] {
    std::vector<CertificateTrouble> troubles;
    add_unusable(parts, troubles);
    add_withdrawn(parts, troubles);
    add_missing_certificates(parts, troubles);
    add_uncovered(parts, troubles);
    return troubles;
  };
  surroundings.settings = [&parts] {
    const std::shared_ptr<const Policy> policy = parts.policy.get();
    WatchSettings settings{.disable_when_revoked = policy->settings.disable_when_revoked,
                           .client_trust = policy->settings.client_trust,
                           .renewed = {}};
    for (const SignerSettings& signer : policy->settings.signers)
      settings.renewed.insert(signer.certificate);
    return settings;
  };
  surroundings.route = [&parts](client::HttpRequest& request) {
    const auto policy = parts.policy.get();
    return set_request_route(request, request.url, UrlSource::Elsewhere, policy->settings);
  };
  surroundings.own_list = [&parts](std::string_view url) {
    const std::size_t path = url.find('/', url.find("://") + 3);
    const std::string_view issuer =
        path == std::string_view::npos ? "" : issuer_of_list(url.substr(path));
    return issuer.empty() ? nullptr : parts.link->revocation_list(issuer);
  };
  surroundings.withdraw = [&parts](const std::string& id, const std::string& reason) {
    return take_out_of_service(parts, id, reason);
  };
  surroundings.staples = &parts.staples;
  parts.watch = std::make_unique<CertificateWatch>(std::move(surroundings), parts.clock);
}

void add_watch_routes(Node::Parts& parts) {
  parts.control_router.add(
      "GET", "/api/v1/certificates/watch", [&parts](const server::RouteRequest&) {
        return server::json_reply(describe(parts.watch->facts(), parts.notifier->facts())
                                      .dump(-1, ' ', false, Json::error_handler_t::replace));
      });
}

void add_watch_gauges(const Node::Parts& parts, std::vector<Gauge>& gauges) {
  const base::WallTime now = parts.clock.wall();
  const std::shared_ptr<const Policy> policy = parts.policy.get();
  for (const ShownCertificate& each : shown_certificates(parts)) {
    const crypto::Certificate& leaf = each.chain.front();
    const base::WallTime end =
        certs::first_to_end(each.chain, policy->settings.client_trust, now).not_after();
    const std::string label =
        "{key=\"" + label_text(each.name) + "\",sha256=\"" + leaf.sha256_hex() + "\"}";
    gauges.push_back({"larder_certificate_expiry_timestamp_seconds",
                      "From when on clients refuse a certificate that is shown: its own end, or "
                      "that of an intermediate that ends before it; seconds since 1970",
                      static_cast<double>(base::to_unix_seconds(end)), false, label});
    const auto left = std::chrono::floor<std::chrono::seconds>(end - now);
    gauges.push_back({"larder_certificate_days_left", "Days until then; negative: since",
                      static_cast<double>(left.count()) / 86400, false, label});
  }
  const CertificateWatch::Facts facts = parts.watch->facts();
  for (const CertificateWatch::Revocation& each : facts.revocations) {
    const std::string label = "{key=\"" + label_text(each.name) + "\",sha256=\"" + each.id + "\"}";
    using State = CertificateWatch::Revocation::State;
    gauges.push_back({"larder_certificate_revoked",
                      "1 when the issuer has revoked it, -1 when that cannot be found out",
                      each.state == State::Revoked   ? 1.0
                      : each.state == State::Unknown ? -1.0
                                                     : 0.0,
                      false, label});
    gauges.push_back(
        {"larder_certificate_staple_expiry_timestamp_seconds",
         "End of the OCSP answer that clients are handed; 0: none",
         each.stapled_until ? static_cast<double>(base::to_unix_seconds(*each.stapled_until)) : 0.0,
         false, label});
  }
  for (const auto& [cause, count] : facts.handshakes.by_cause) {
    gauges.push_back({"larder_tls_handshake_failures_by_cause_total",
                      "TLS handshakes that failed, by the client's alert or our reason",
                      static_cast<double>(count), true, "{cause=\"" + label_text(cause) + "\"}"});
  }
  gauges.push_back({"larder_tls_closed_without_request_total",
                    "Connections that clients closed after a whole TLS handshake, without a byte "
                    "of a request",
                    static_cast<double>(facts.handshakes.silent_connections), true, ""});
  const alerts::Notifier::Facts webhook = parts.notifier->facts();
  gauges.push_back({"larder_alerts", "What is wrong now with certificates and drives",
                    static_cast<double>(parts.alerts().size()), false, ""});
  gauges.push_back({"larder_alerts_waiting", "Alerts that wait to be delivered",
                    static_cast<double>(webhook.waiting), false, ""});
  gauges.push_back({"larder_alerts_undelivered_total", "Alerts that were given up",
                    static_cast<double>(webhook.undelivered), true, ""});
}

}  // namespace larder::node
