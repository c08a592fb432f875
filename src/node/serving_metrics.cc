// Metrics of connections, limits, settings and the process.

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

#include "base/file.h"
#include "node/node_parts.h"

namespace larder::node {

namespace {

// Under the names that every Prometheus client library uses.
void add_process_gauges(const Node::Parts& parts, std::vector<Gauge>& gauges) {
  gauges.push_back(
      {"larder_build_info", "1, with the version", 1, false, "{version=\"" LARDER_VERSION "\"}"});
  gauges.push_back({"process_start_time_seconds", "Start, seconds since 1970",
                    static_cast<double>(base::to_unix_seconds(parts.started_at)), false, ""});
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    gauges.push_back({"process_cpu_seconds_total", "Processor time used",
                      seconds(usage.ru_utime) + seconds(usage.ru_stime), true, ""});
  }
  unsigned long pages = 0;
  unsigned long resident = 0;
  if (const auto text = base::read_file("/proc/self/statm", 4096);
      text && std::sscanf(text->c_str(), "%lu %lu", &pages, &resident) == 2) {
    gauges.push_back({"process_resident_memory_bytes", "Resident memory",
                      static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)),
                      false, ""});
  }
  if (DIR* const folder = ::opendir("/proc/self/fd"); folder != nullptr) {
    double count = -3;  // ".", ".." and the folder itself
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    gauges.push_back({"process_open_fds", "Open files and sockets", count, false, ""});
  }
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    gauges.push_back({"process_max_fds", "Most open files and sockets",
                      static_cast<double>(files.rlim_cur), false, ""});
  }
}

}  // namespace

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
    add("larder_connections_ended_for_others_total",
        "Idle connections ended at max_connections to make room for new ones",
        get(counts.made_room), true);
    constexpr const char* kTimeouts = "Connections ended because a client was too slow";
    add("larder_client_timeouts_total", kTimeouts, get(counts.slow_heads), true, "{in=\"head\"}");
    add("larder_client_timeouts_total", kTimeouts, get(counts.slow_bodies), true, "{in=\"body\"}");
    add("larder_client_timeouts_total", kTimeouts, get(counts.slow_readers), true,
        "{in=\"answer\"}");
  }
  add_process_gauges(parts, gauges);
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
