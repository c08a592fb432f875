// The node's own routes: the control socket, the read-only admin port, and the facts that both
// show.

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/log.h"
#include "crypto/certificate.h"
#include "http/target.h"
#include "node/explain.h"
#include "node/node_parts.h"

namespace larder::node {

namespace {

using base::Json;

std::string name(CertificateSource source) {
  switch (source) {
    case CertificateSource::None:
      return "none";
    case CertificateSource::Pki:
      return "pki";
    case CertificateSource::Site:
      return "site";
  }
  return "none";
}

Json describe_site_certificate(const std::string& chain_pem, bool serves) {
  const auto chain = crypto::parse_certificates(chain_pem);
  if (!chain || chain->empty()) return nullptr;
  const crypto::Certificate& leaf = chain->front();
  return {{"name", "site-role"},
          {"source", "site"},
          {"state", serves ? "active" : "standby"},
          {"subject", leaf.subject()},
          {"issuer", leaf.issuer()},
          {"dns_names", leaf.dns_names()},
          {"not_before", base::to_rfc3339(leaf.not_before())},
          {"not_after", base::to_rfc3339(leaf.not_after())},
          {"sha256", leaf.sha256_hex()}};
}

Json describe_certificates(const Node::Parts& parts) {
  Json list = Json::array();
  const CertificateChoice choice = parts.serving.choice();
  if (const auto inventory = parts.certificates->list()) {
    for (const certs::KeyFacts& key : inventory->keys) {
      for (const certs::CertificateFacts& facts : key.certificates) {
        list.push_back({{"name", key.name},
                        {"source", "pki"},
                        {"state", std::string(certs::name(facts.state))},
                        {"subject", facts.subject},
                        {"issuer", facts.issuer},
                        {"dns_names", facts.dns_names},
                        {"not_before", base::to_rfc3339(facts.not_before)},
                        {"not_after", base::to_rfc3339(facts.not_after)},
                        {"sha256", facts.id}});
      }
    }
  }
  Json site = describe_site_certificate(
      parts.serving.chain_of(CertificateSource::Site),
      choice.content == CertificateSource::Site || choice.delivery == CertificateSource::Site);
  if (!site.is_null()) list.push_back(std::move(site));
  return list;
}

Json describe_counters(const CounterTotals& totals) {
  const auto get = [&](Counter counter) { return totals[static_cast<std::size_t>(counter)]; };
  return {{"requests", get(Counter::Requests)},     {"hits", get(Counter::Hits)},
          {"misses", get(Counter::Misses)},         {"bytes_hit", get(Counter::BytesHit)},
          {"bytes_miss", get(Counter::BytesMiss)},  {"bytes_content", get(Counter::BytesContent)},
          {"bytes_total", get(Counter::BytesTotal)}};
}

server::Reply reply_of(const base::Status& status) {
  if (status) return server::json_reply("{}");
  const int code = status.error().code == base::ErrorCode::InvalidArgument      ? 400
                   : status.error().code == base::ErrorCode::Unauthenticated    ? 403
                   : status.error().code == base::ErrorCode::PermissionDenied   ? 403
                   : status.error().code == base::ErrorCode::FailedPrecondition ? 409
                                                                                : 502;
  return server::problem_reply(code, "failed", status.error().message);
}

server::Reply explain_reply(Delivery& delivery, const std::string& body) {
  const auto json = base::parse_json(body);
  const auto url = json ? base::json_string(*json, "url")
                        : base::Result<std::string>(std::unexpected(json.error()));
  const auto method = json ? base::json_string_or(*json, "method", "GET")
                           : base::Result<std::string>(std::unexpected(json.error()));
  if (!url || !method) {
    return server::problem_reply(400, "bad-json",
                                 url ? method.error().message : url.error().message);
  }
  ExplainRequest request{.url = *url, .method = *method};
  for (const Json& field : json->value("fields", Json::array())) {
    if (!field.is_array() || field.size() != 2 || !field[0].is_string() || !field[1].is_string()) {
      return server::problem_reply(400, "bad-json", "fields: a list of [name, value]");
    }
    request.fields.emplace_back(field[0].get<std::string>(), field[1].get<std::string>());
  }
  auto text = explain(delivery, request);
  if (!text) return reply_of(std::unexpected(text.error()));
  return server::json_reply(std::move(*text));
}

}  // namespace

base::Status Node::Parts::reload_certificates() {
  const std::lock_guard one_at_a_time(certificates_mutex);
  auto active = certificates->load_active();
  if (!active) return std::unexpected(active.error());
  std::vector<ServingCertificates::Identity> identities;
  for (const certs::ServingCertificate& certificate : active->certificates) {
    auto key_pem = certificate.key.to_pem();
    if (!key_pem) return std::unexpected(key_pem.error());
    identities.push_back({.key_pem = std::move(*key_pem),
                          .chain_pem = certificate.chain_pem,
                          .id = certificate.choice.certificate_id,
                          .name = certificate.choice.key_name,
                          .is_default = certificate.choice.key_name == certs::kDefaultKey});
  }
  // What was served and can no longer be read goes on; the rest is not held up by it.
  base::Status status;
  for (const certs::ActiveState::Damage& damage : active->damaged) {
    if (auto held = serving.pki(damage.choice.certificate_id)) {
      identities.push_back(std::move(*held));
      base::log_error("a certificate is served on from memory, its files are damaged",
                      {{"key", damage.choice.key_name}, {"reason", damage.error.message}});
    } else {
      status = base::with_context(damage.choice.key_name, damage.error);
    }
  }
  LARDER_TRY(serving.set_pki(active->disabled, std::move(identities)));
  const CertificateChoice choice = serving.choice();
  base::log_info("certificates are in effect",
                 {{"https", name(choice.delivery)},
                  {"content", name(choice.content)},
                  {"own", std::to_string(active->certificates.size())}});
  if (watch) watch->wake();
  return status;
}

std::string Node::Parts::report() const {
  Json counters_json = describe_counters(counters.totals());
  counters_json["bytes_origin"] = origin->received();
  const SiteLinkStatus link_status = link->status();
  const CertificateChoice choice = serving.choice();
  Json report = {{"sequence", link_status.sequence},
                 {"version", LARDER_VERSION},
                 {"started_at", base::to_rfc3339(started_at)},
                 {"counters", std::move(counters_json)},
                 {"certificates", describe_certificates(*this)}};
  const std::shared_ptr<const Policy> in_force = policy.get();
  const NodeSettings& now = in_force->settings;
  if (!now.content_listen.empty() && !now.connection_names.empty()) {
    report["content_url"] = "https://" + now.connection_names.front() + ":" +
                            std::to_string(now.content_listen.front().port);
  }
  if (choice.content == CertificateSource::Pki) {
    report["content_trust"] = serving.chain_of(CertificateSource::Pki);
  }
  return report.dump();
}

std::vector<std::string> Node::Parts::alerts() const {
  std::vector<std::string> all = watch->facts().alerts;
  for (std::string& each : drive_watch->alerts()) all.push_back(std::move(each));
  return all;
}

std::string Node::Parts::status_json() const {
  const SiteLinkStatus link_status = link->status();
  const store::Statistics cache = store->statistics();
  const CertificateChoice choice = serving.choice();
  Json counters_json = describe_counters(counters.totals());
  counters_json["bytes_origin"] = origin->received();
  const ReloadState::Facts reload_facts = reloads.get();
  return Json{{"name", settings.name},
              {"version", LARDER_VERSION},
              {"settings",
               {{"loaded_at", base::to_rfc3339(reload_facts.loaded_at)},
                {"error", reload_facts.error},
                {"needs_restart", reload_facts.restarts}}},
              {"started_at", base::to_rfc3339(started_at)},
              {"connections", connection_count()},
              {"https", name(choice.delivery)},
              {"content", name(choice.content)},
              {"alerts", alerts()},
              {"counters", std::move(counters_json)},
              {"cache",
               {{"objects", cache.objects},
                {"bytes", cache.bytes},
                {"used", cache.used},
                {"size", cache.size}}},
              {"site",
               {{"joined", link_status.joined},
                {"url", link_status.site_url},
                {"connected", link_status.connected},
                {"sequence", link_status.sequence},
                {"files_missing", link_status.files_missing},
                {"error", link_status.last_error}}}}
      .dump();
}

std::string Node::Parts::certificates_json() const {
  return describe_certificates(*this).dump();
}

std::string Node::Parts::metrics() const {
  const store::Statistics cache = store->statistics();
  const CertificateChoice choice = serving.choice();
  std::vector<Gauge> gauges{
      {"larder_connections", "Open connections", static_cast<double>(connection_count()), false,
       ""},
      {"larder_cache_objects", "Objects stored", static_cast<double>(cache.objects), false, ""},
      {"larder_cache_used_bytes", "Bytes used on the drives", static_cast<double>(cache.used),
       false, ""},
      {"larder_cache_size_bytes", "Bytes the drives may use", static_cast<double>(cache.size),
       false, ""},
      {"larder_cache_evicted_objects_total", "Objects evicted",
       static_cast<double>(cache.evicted_objects), true, ""},
      {"larder_cache_evicted_bytes_total", "Bytes evicted",
       static_cast<double>(cache.evicted_bytes), true, ""},
      {"larder_cache_unrecorded_uses", "Objects whose last hit is not yet in a journal",
       static_cast<double>(cache.unrecorded_uses), false, ""},
      {"larder_cache_lost_slices_total", "Slices with a wrong checksum",
       static_cast<double>(cache.lost_slices), true, ""},
      {"larder_cache_write_errors_total", "Writes the drives refused",
       static_cast<double>(cache.write_errors), true, ""},
      {"larder_fills_running", "Objects being filled", static_cast<double>(fills->size()), false,
       ""},
      {"larder_origin_fetches_total", "Fetches from origins",
       static_cast<double>(fills->statistics().fetches.load()), true, ""},
      {"larder_origin_failed_fetches_total", "Fetches that failed",
       static_cast<double>(fills->statistics().failed_fetches.load()), true, ""},
      {"larder_origin_taken_over_total", "Fetches that went on where another one stopped",
       static_cast<double>(fills->statistics().taken_over.load()), true, ""},
      {"larder_origin_changes_total", "Objects that changed in the middle of a fill",
       static_cast<double>(fills->statistics().changes.load()), true, ""},
      {"larder_origin_flipping_objects_total", "Objects fetched as one response for that reason",
       static_cast<double>(fills->statistics().flipping.load()), true, ""},
      {"larder_fill_memory_bytes", "Memory taken by slices on their way",
       static_cast<double>(fills->memory_used()), false, ""},
      {"larder_origin_bytes_total", "Body bytes that came from origins",
       static_cast<double>(origin->received()), true, ""},
      {"larder_https_ready", "1 when the HTTPS port has a certificate",
       choice.delivery == CertificateSource::None ? 0.0 : 1.0, false, ""},
      {"larder_content_ready", "1 when the content port has a certificate",
       choice.content == CertificateSource::None ? 0.0 : 1.0, false, ""},
      {"larder_site_connected", "1 when the last exchange with the site succeeded",
       link->status().connected ? 1.0 : 0.0, false, ""}};
  add_serving_gauges(*this, gauges);
  add_cache_gauges(cache, gauges);
  add_renewal_gauges(*this, gauges);
  add_watch_gauges(*this, gauges);
  std::string page = print_metrics(counters.totals(), gauges);
  counters.print_requests(page);
  return page;
}

void add_control_routes(Node::Parts& parts) {
  server::Router& router = parts.control_router;
  router.add("GET", "/api/v1/status", [&parts](const server::RouteRequest&) {
    return server::json_reply(parts.status_json());
  });
  router.add("GET", "/api/v1/certificates", [&parts](const server::RouteRequest&) {
    return server::json_reply(parts.certificates_json());
  });
  router.add("POST", "/api/v1/certificates/reload", [&parts](const server::RouteRequest&) {
    parts.renewals->wake();
    return reply_of(parts.reload_certificates());
  });
  router.add("POST", "/api/v1/settings/reload", [&parts](const server::RouteRequest&) {
    const base::Result<ReloadReport> report = parts.reload();
    if (!report) return reply_of(std::unexpected(report.error()));
    return server::json_reply(
        Json{{"changed", report->changed}, {"needs_restart", report->needs_restart}}.dump());
  });
  router.add("POST", "/api/v1/access-log/reopen",
             [&parts](const server::RouteRequest&) { return reply_of(parts.reopen_logs()); });
  router.add("POST", "/api/v1/explain", [&parts](const server::RouteRequest& request) {
    return explain_reply(*parts.delivery, request.body);
  });
  router.add("POST", "/api/v1/join", [&parts](const server::RouteRequest& request) {
    const auto body = base::parse_json(request.body);
    if (!body) return server::problem_reply(400, "bad-json", body.error().message);
    const auto token = base::json_string(*body, "token");
    if (!token) return server::problem_reply(400, "bad-json", token.error().message);
    return reply_of(parts.link->join(*token));
  });
}

void add_admin_routes(Node::Parts& parts) {
  // Only under names of the node: a web page of somebody else must not read this through a
  // visitor's browser.
  const auto guarded = [&parts](auto make) -> server::BlockingHandler {
    return [&parts, make](const server::RouteRequest& request) {
      const auto host = http::parse_authority(request.field("Host"));
      if (!host || !parts.policy.get()->hosts.is_own(*host)) {
        return server::problem_reply(403, "foreign-host",
                                     "this port answers under the node's own names only");
      }
      return make();
    };
  };
  server::Router& router = parts.admin_router;
  router.add("GET", "/healthz", guarded([] { return server::text_reply(200, "ok\n"); }));
  router.add("GET", "/readyz", guarded([&parts] {
               const CertificateChoice choice = parts.serving.choice();
               const ReloadState::Facts settings = parts.reloads.get();
               Json answer = {{"ready", true},
                              {"https", name(choice.delivery)},
                              {"content", name(choice.content)},
                              {"settings", settings.error.empty() ? "in force" : "refused"}};
               if (!settings.restarts.empty()) answer["needs_restart"] = settings.restarts;
               answer["alerts"] = parts.alerts();
               answer["drives"] = drive_troubles(parts.store->statistics());
               return server::json_reply(answer.dump());
             }));
  router.add("GET", "/metrics", guarded([&parts] {
               server::Reply reply = server::text_reply(200, parts.metrics());
               reply.fields[0].second = "text/plain; version=0.0.4; charset=utf-8";
               return reply;
             }));
}

}  // namespace larder::node
