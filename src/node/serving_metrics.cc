// Metrics of connections, limits and settings.

#include "node/node_parts.h"

namespace larder::node {

void add_serving_gauges(const Node::Parts& parts, std::vector<Gauge>& gauges) {
  const auto add = [&](const char* name, const char* help, double value, bool is_counter,
                       std::string labels = "") {
    gauges.push_back({name, help, value, is_counter, std::move(labels)});
  };
  if (const server::Server* server = parts.running; server != nullptr) {
    const server::ServerCounts& counts = server->counts();
    const auto get = [](const std::atomic<std::uint64_t>& count) {
      return static_cast<double>(count.load(std::memory_order_relaxed));
    };
    add("larder_clients", "Clients with open connections",
        static_cast<double>(server->client_count()), false);
    add("larder_connections_accepted_total", "Connections accepted", get(counts.accepted), true);
    constexpr const char* kRefused = "Connections closed at once, because of a limit";
    add("larder_connections_refused_total", kRefused, get(counts.refused_total), true,
        "{limit=\"max_connections\"}");
    add("larder_connections_refused_total", kRefused, get(counts.refused_client), true,
        "{limit=\"max_connections_per_client\"}");
    constexpr const char* kTimeouts = "Connections ended because a client was too slow";
    add("larder_client_timeouts_total", kTimeouts, get(counts.slow_heads), true, "{in=\"head\"}");
    add("larder_client_timeouts_total", kTimeouts, get(counts.slow_bodies), true, "{in=\"body\"}");
    add("larder_client_timeouts_total", kTimeouts, get(counts.slow_readers), true,
        "{in=\"answer\"}");
  }
  add("larder_connections_limit", "max_connections",
      static_cast<double>(parts.policy.get()->settings.max_connections), false);
  const ReloadState::Facts settings = parts.reloads.get();
  add("larder_settings_loaded_timestamp_seconds", "When the settings in force were read",
      static_cast<double>(base::to_unix_seconds(settings.loaded_at)), false);
  add("larder_settings_reloads_total", "Reloads of the settings that succeeded",
      static_cast<double>(settings.reloads), true);
  add("larder_settings_refused", "1 when the last reload was refused; what was in force stays",
      settings.error.empty() ? 0.0 : 1.0, false);
  add("larder_settings_needing_restart", "Changed settings that wait for a restart",
      static_cast<double>(settings.restarts.size()), false);
  if (const auto log = parts.delivery->access_log()) {
    add("larder_access_log_failed_writes_total", "Batches of lines that could not be written",
        static_cast<double>(log->failed_writes()), true);
  }
}

}  // namespace larder::node
