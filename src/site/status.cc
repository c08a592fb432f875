// The site's figures as JSON, from memory: a page that asks every second costs no SQL.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "site/page.h"
#include "site/routes.h"

namespace larder::site {
namespace {

constexpr std::chrono::seconds kOnline{15};
constexpr std::size_t kClientsShown = 100;

std::string time_or_empty(std::int64_t seconds) {
  return seconds == 0 ? std::string() : base::to_rfc3339(base::from_unix_seconds(seconds));
}

std::string_view https_of(const Node& node) {
  std::string_view source = "none";
  if (!node.report) return source;
  for (const ReportedCertificate& certificate : node.report->certificates) {
    if (certificate.state != "active") continue;
    if (certificate.source == "pki") return "pki";
    source = "site";
  }
  return source;
}

base::Json node_of(const Node& node, base::WallTime now) {
  const bool online = node.report && now - node.reported_at < kOnline;
  const NodeCounters total = node.total();
  return {{"id", node.id},
          {"name", node.name},
          {"names", node.names.dns},
          {"addresses", node.names.addresses},
          {"state", online ? "online" : "offline"},
          {"online", online},
          {"joined_at", time_or_empty(node.joined_at)},
          {"last_report_at", node.report ? base::to_rfc3339(node.reported_at) : std::string()},
          {"version", node.report ? node.report->version : std::string()},
          {"sequence", node.report ? node.report->sequence : 0},
          {"content_url", node.report ? node.report->content_url : std::string()},
          {"https", https_of(node)},
          {"requests", total.requests},
          {"hits", total.hits},
          {"misses", total.misses},
          {"bytes_hit", total.bytes_hit},
          {"bytes_miss", total.bytes_miss},
          {"bytes_origin", total.bytes_origin},
          {"bytes_content", total.bytes_content},
          {"bytes_delivered", total.bytes_delivered()}};
}

std::int64_t days_left(base::WallTime end, base::WallTime now) {
  return std::chrono::floor<std::chrono::days>(end - now).count();
}

base::Json own_certificate(std::string_view name, std::string_view source,
                           const crypto::Certificate& certificate, base::WallTime now) {
  return {{"node", ""},
          {"owner", std::string(name)},
          {"name", std::string(name)},
          {"source", std::string(source)},
          {"state", certificate.not_after() > now ? "active" : "expired"},
          {"subject", certificate.subject()},
          {"issuer", certificate.issuer()},
          {"dns_names", certificate.dns_names()},
          {"not_before", base::to_rfc3339(certificate.not_before())},
          {"not_after", base::to_rfc3339(certificate.not_after())},
          {"days_left", days_left(certificate.not_after(), now)},
          {"sha256", certificate.sha256_hex()}};
}

base::Json certificates_of(const State& state, const Serving& serving,
                           const std::vector<Node>& nodes, base::WallTime now) {
  base::Json list = base::Json::array();
  for (const Node& node : nodes) {
    if (!node.report) continue;
    for (const ReportedCertificate& certificate : node.report->certificates) {
      list.push_back({{"node", node.name},
                      {"owner", "node " + node.name},
                      {"name", certificate.name},
                      {"source", certificate.source},
                      {"state", certificate.state},
                      {"subject", certificate.subject},
                      {"issuer", certificate.issuer},
                      {"dns_names", certificate.dns_names},
                      {"not_before", base::to_rfc3339(certificate.not_before)},
                      {"not_after", base::to_rfc3339(certificate.not_after)},
                      {"days_left", days_left(certificate.not_after, now)},
                      {"sha256", certificate.sha256}});
    }
  }
  const auto own = crypto::parse_certificates(serving.current().chain);
  if (own) list.push_back(own_certificate("site", "site", own->front(), now));
  list.push_back(own_certificate("issuing authority", "authority",
                                 state.authority->issuing().certificate, now));
  list.push_back(own_certificate("root", "authority", state.authority->root(), now));
  return list;
}

base::Json clients_of(const State& state) {
  const ClientTable::Summary summary = state.clients.summary(kClientsShown);
  base::Json items = base::Json::array();
  for (const Client& client : summary.newest) {
    items.push_back({{"id", client.id},
                     {"name", client.name},
                     {"state", client.blocked() ? "blocked" : "active"},
                     {"conflict", client.conflict},
                     {"registered_at", time_or_empty(client.registered_at)},
                     {"last_seen_at", time_or_empty(client.last_seen)}});
  }
  return {{"total", summary.total},
          {"active", summary.total - summary.blocked},
          {"blocked", summary.blocked},
          {"items", std::move(items)}};
}

base::Json nodes_of(const std::vector<Node>& nodes, base::WallTime now) {
  base::Json list = base::Json::array();
  for (const Node& node : nodes) list.push_back(node_of(node, now));
  return list;
}

base::Json status_of(const State& state, const Serving& serving) {
  const base::WallTime now = state.clock.wall();
  const std::vector<Node> nodes = state.nodes.list();
  const auto published = state.published();
  NodeCounters sum;
  for (const Node& node : nodes) sum += node.total();
  // What clients got of origins' content and did not come over the line for it. (Site content does
  // not count: what nodes fetch of it from the site is not known here.)
  const std::uint64_t from_origins = sum.bytes_hit + sum.bytes_miss;
  const std::uint64_t saved = from_origins > sum.bytes_origin ? from_origins - sum.bytes_origin : 0;
  return {{"time", base::to_rfc3339(now)},
          {"site",
           {{"name", state.settings.name},
            {"id", state.site_id},
            {"mode", published->mode},
            {"sequence", published->sequence},
            {"public_url", state.settings.public_url},
            {"root_sha256", state.authority->root().sha256_hex()},
            {"version", LARDER_VERSION},
            {"started_at", base::to_rfc3339(state.started_at)}}},
          {"bytes",
           {{"delivered", sum.bytes_delivered()},
            {"hit", sum.bytes_hit},
            {"miss", sum.bytes_miss},
            {"origin", sum.bytes_origin},
            {"content", sum.bytes_content},
            {"saved", saved}}},
          {"nodes", nodes_of(nodes, now)},
          {"certificates", certificates_of(state, serving, nodes, now)},
          {"clients", clients_of(state)},
          {"packages", published->packages.size()}};
}

}  // namespace

void add_status_routes(server::Router& router, const State& state, const Serving& serving) {
  using server::RouteRequest;
  router.add("GET", "/api/v1/status", [&state, &serving](const RouteRequest&) {
    return json_of(status_of(state, serving));
  });
  router.add("GET", "/api/v1/nodes", [&state](const RouteRequest&) {
    return json_of({{"nodes", nodes_of(state.nodes.list(), state.clock.wall())}});
  });
  router.add("GET", "/api/v1/certificates", [&state, &serving](const RouteRequest&) {
    return json_of({{"certificates",
                     certificates_of(state, serving, state.nodes.list(), state.clock.wall())}});
  });
}

void add_page_routes(server::Router& router, const State& state, const Serving& serving) {
  using server::RouteRequest;
  const auto guard = [](auto handler) {
    return [handler](const RouteRequest& request) -> server::Reply {
      // A page of another site that resolves to this machine must not read it (DNS rebinding).
      if (!is_loopback_host(request)) {
        return server::text_reply(403, "This address answers only as localhost.\n");
      }
      return handler();
    };
  };
  router.add("GET", "/", guard([] { return status_page(); }));
  router.add("GET", "/api/v1/status",
             guard([&state, &serving] { return json_of(status_of(state, serving)); }));
}

}  // namespace larder::site
