// Settings that take effect while the node runs: what the server is told at the start and at each
// reload, and the reload itself.

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "node/content_path.h"
#include "node/node_parts.h"
#include "node/origin_pool_settings.h"
#include "node/request_path.h"
#include "node/setting_files.h"
#include "server/router_handler.h"

namespace larder::node {

std::vector<server::ListenerSettings> make_listeners(Node::Parts& parts,
                                                     const NodeSettings& settings) {
  std::vector<server::ListenerSettings> listeners;
  const auto add = [&](const std::string& name, const std::vector<base::ListenAddress>& addresses,
                       const server::HandlerFactory& handler, const server::TlsProvider& tls,
                       bool limit_clients = true) {
    for (const base::ListenAddress& address : addresses) {
      server::ListenerSettings listener;
      listener.name = name;
      listener.address = address.address;
      listener.port = address.port;
      listener.handler = handler;
      listener.tls = tls;
      listener.limit_clients = limit_clients;
      listener.congestion_control = settings.congestion_control;
      listener.on_handshake_failure = [&parts](std::string_view address_text,
                                               std::string_view reason,
                                               const net::ShownIdentity* shown) {
        parts.handshakes->add_shared(Counter::HandshakeFailures);
        if (parts.watch) parts.watch->handshake_failed(address_text, reason, shown);
        base::log_debug("a TLS handshake failed",
                        {{"client", std::string(address_text)}, {"reason", std::string(reason)}});
      };
      listener.on_silent_end = [&parts](std::string_view address_text,
                                        const net::ShownIdentity& shown) {
        if (parts.watch) parts.watch->ended_silently(address_text, shown);
      };
      listeners.push_back(std::move(listener));
    }
  };
  const auto delivery = [&parts](bool tls) {
    return [&parts, tls](net::Loop& loop) {
      return std::make_unique<RequestPath>(*parts.delivery, parts.delivery->loop_state(loop), tls);
    };
  };
  add("http", settings.http_listen, delivery(false), nullptr);
  add("https", settings.https_listen, delivery(true),
      [&parts] { return parts.challenges.context_for(parts.serving.delivery()); });
  add(
      "content", settings.content_listen,
      [&parts](net::Loop& loop) {
        return std::make_unique<ContentPath>(*parts.delivery, parts.delivery->loop_state(loop),
                                             *parts.library, parts.authorizer,
                                             [&parts] { return parts.link->view(); });
      },
      [&parts] { return parts.serving.content(); });
  if (settings.admin_listen) {
    add("admin", {*settings.admin_listen},
        server::route_with(parts.admin_router, *parts.control_pool), nullptr, false);
  }
  server::ListenerSettings control;
  control.name = "control";
  control.unix_path = parts.settings.control_socket;
  control.handler = server::route_with(parts.control_router, *parts.control_pool);
  listeners.push_back(std::move(control));
  return listeners;
}

server::Limits make_limits(const NodeSettings& settings) {
  server::Limits limits;
  limits.connections = static_cast<std::size_t>(settings.max_connections);
  limits.connections_per_client = static_cast<std::size_t>(settings.max_connections_per_client);
  limits.lowest_rate = settings.min_client_rate;
  limits.egress = {settings.client_rate_limit, settings.total_rate_limit};
  limits.timeouts.idle = settings.idle_timeout;
  limits.timeouts.header = settings.header_timeout;
  limits.timeouts.stall = settings.write_timeout;
  return limits;
}

base::Result<std::shared_ptr<server::AccessLog>> open_access_log(
    const NodeSettings& settings, std::shared_ptr<server::AccessLog> in_use) {
  if (settings.access_log == "off") return nullptr;
  const auto format =
      settings.access_log_json ? server::AccessFormat::Json : server::AccessFormat::Text;
  if (in_use && in_use->path() == settings.access_log && in_use->format() == format) return in_use;
  auto log = server::AccessLog::open(settings.access_log, format);
  if (!log) return std::unexpected(log.error());
  return std::shared_ptr<server::AccessLog>(std::move(*log));
}

void set_quotas(store::Store& store, const NodeSettings& settings) {
  std::vector<std::pair<std::string, std::uint64_t>> quotas;
  for (const OriginSettings& origin : settings.origins) {
    if (origin.quota > 0) quotas.emplace_back(origin.name, origin.quota);
  }
  store.set_quotas(quotas);
}

NodeSettings completed(NodeSettings settings) {
  if (settings.threads == 0) {
    settings.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  }
  return settings;
}

namespace {

base::Result<ReloadReport> take_effect(Node::Parts& parts) {
  server::Server* const server = parts.running;
  if (server == nullptr || !parts.source) {
    return base::fail(base::ErrorCode::FailedPrecondition,
                      "this node cannot read its settings anew now");
  }
  base::Result<NodeSettings> read = parts.source();
  if (!read) return std::unexpected(read.error());
  const auto next = std::make_shared<const Policy>(parts.counted(completed(std::move(*read))));
  // All that may fail comes first, and what it changes is nothing that a client could see.
  LARDER_TRY(check_setting_files(next->settings));
  auto log = open_access_log(next->settings, parts.delivery->access_log());
  if (!log) return std::unexpected(log.error());
  auto pool = origin_pool_settings(next->settings);
  if (!pool) return std::unexpected(pool.error());
  LARDER_TRY(server->set_listeners(make_listeners(parts, next->settings)));

  ReloadReport report;
  const std::shared_ptr<const Policy> before = parts.policy.get();
  for (base::SettingChange& change : changes(before->settings, next->settings)) {
    if (change.effect == base::Effect::Live) report.changed.push_back(std::move(change.name));
  }
  for (base::SettingChange& change : changes(parts.settings, next->settings)) {
    if (change.effect == base::Effect::Restart)
      report.needs_restart.push_back(std::move(change.name));
  }
  parts.policy.set(next);
  parts.delivery->apply(std::move(*log));
  server->set_limits(make_limits(next->settings));
  parts.origin->apply(next->settings);
  parts.origins->apply(std::move(*pool));
  set_quotas(*parts.store, next->settings);
  parts.renewals->follow_settings();
  parts.watch->wake();
  base::configure_log({next->settings.log_level, next->settings.log_json});
  if (const base::Status set =
          parts.serving.set_site_for_delivery(next->settings.site_certificate_for_delivery);
      !set) {
    base::log_error("the site's certificate cannot be served", {{"reason", set.error().message}});
  }
  return report;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "nothing" : text;
}

}  // namespace

NodeSettings Node::Parts::counted(NodeSettings next) {
  for (OriginSettings& table : next.origins) {
    table.counted_at = counters.requests.place_of_origin(table.name);
  }
  return next;
}

base::Result<ReloadReport> Node::Parts::reload() {
  const std::lock_guard one_at_a_time(reload_mutex);
  base::Result<ReloadReport> report = take_effect(*this);
  if (!report) {
    base::log_error("settings refused, those in force stay", {{"reason", report.error().message}});
    reloads.failed(report.error().message);
    return report;
  }
  base::log_info("settings are in force", {{"changed", listed(report->changed)},
                                           {"needs_restart", listed(report->needs_restart)}});
  reloads.succeeded(clock.wall(), report->needs_restart);
  return report;
}

base::Status Node::Parts::reopen_logs() {
  const std::shared_ptr<server::AccessLog> log = delivery->access_log();
  if (!log) return {};
  const base::Status reopened = log->reopen();
  if (!reopened) {
    base::log_error("the access log cannot be reopened", {{"reason", reopened.error().message}});
  }
  return reopened;
}

}  // namespace larder::node
