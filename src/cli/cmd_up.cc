#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/node_process.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/site_process.h"
#include "cli/up_config.h"
#include "node/node.h"
#include "node/settings.h"
#include "site/settings.h"

namespace larder::cli {
namespace {

struct UpOptions {
  std::string folder = "larder-data";
  std::int64_t port_base = kDefaultPortBase;
};

// Joins the node to the site of the same process, by a token that is never written down.
base::Status join(node::Node& node, const node::NodeSettings& settings,
                  const std::string& site_socket) {
  nlohmann::json wanted = {{"node", settings.name},
                           {"names", nlohmann::json::array()},
                           {"addresses", nlohmann::json::array()}};
  for (const std::string& name : settings.connection_names)
    wanted[base::is_address(name) ? "addresses" : "names"].push_back(name);
  Control control(Role::Site, site_socket);
  const auto answer = control.send("POST", "/api/v1/join-tokens", wanted);
  if (!answer) return std::unexpected(answer.error());
  const auto token = base::json_string(*answer, "token");
  if (!token) return std::unexpected(token.error());
  return node.join(*token);
}

std::string url(const char* scheme, const std::string& host,
                const std::vector<base::ListenAddress>& listeners) {
  if (listeners.empty()) return "(off)";
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return std::string(scheme) + "://" + (is_ipv6 ? "[" + host + "]" : host) + ":" +
         std::to_string(listeners.front().port);
}

void print_guide(const node::NodeSettings& node, const site::SiteSettings& site,
                 const std::string& config) {
  const std::string host =
      node.connection_names.empty() ? "127.0.0.1" : node.connection_names.front();
  const std::string with = " --config " + config;
  print_line("Larder is running. Ctrl-C stops it; everything is kept beside " + config + ".");
  print_line("  cache node        " + url("http", host, node.http_listen));
  print_line("  with HTTPS        " + url("https", host, node.https_listen) +
             "  (answers once it has a certificate)");
  print_line("  guarded content   " + url("https", host, node.content_listen));
  if (node.admin_listen)
    print_line("  health, metrics   " +
               url("http", node.admin_listen->address, {*node.admin_listen}) + "/readyz  /metrics");
  print_line("  site              " + site.public_url);
  if (!site.admin_listen.empty())
    print_line("  status page       http://" + site.admin_listen.front() + "/");
  print_line("Try next, in another terminal:");
  print_line("  larder node status" + with);
  print_line("  larder cert request" + with + " --common-name " + host);
  print_line("  larder content add hello 1.0 FILE" + with);
  print_line("  larder token create-registration" + with + " --output devices.token");
  print_line("  larder client register --token-file devices.token");
  print_line("  larder get hello@1.0");
}

int run(const UpOptions& options) {
  const char* const what = "larder up does not start";
  prepare_process();
  const auto config = ensure_up_config(options.folder, static_cast<int>(options.port_base));
  if (!config) return report(config.error(), what);
  const node::SettingsSource source = [path = *config] { return node::load_node_settings(path); };
  auto node_settings = source();
  if (!node_settings) return report(node_settings.error(), "");
  const auto site_settings = site::load_site_settings(*config);
  if (!site_settings) return report(site_settings.error(), "");
  base::configure_log({node_settings->log_level, node_settings->log_json});

  Signals signals;
  const base::SystemClock clock;
  const auto site = SiteProcess::start(*site_settings, clock);
  if (!site) return report(site.error(), what, "another --port-base, when a port is taken");
  const auto node = node::Node::start(*node_settings, clock, source);
  if (!node) return report(node.error(), what, "another --port-base, when a port is taken");
  admit_administrators(node_settings->control_socket);
  if (!(*node)->is_joined()) {
    // The cache works without its site, so this is no reason to stop.
    if (const auto joined = join(**node, *node_settings, site_settings->control_socket); !joined)
      report(joined.error(), "the node did not join its site",
             "mend the names in the settings and start again; the cache works meanwhile");
  }
  print_guide(*node_settings, *site_settings, *config);
  notify_service_manager("READY=1");
  base::log_info("larder stops", {{"signal", std::string(signals.serve(node_actions(**node)))}});
  notify_service_manager("STOPPING=1");
  signals.stop([&] {
    (*node)->stop((*node)->stop_grace());
    (*site)->stop();
  });
  return kOk;
}

}  // namespace

void add_up_command(Command& root) {
  auto options = std::make_shared<UpOptions>();
  // The highest port is 375 above the base.
  root.command("up", "Run a site and a cache node in one process, on unprivileged ports.")
      .option("--dir", options->folder, "Folder of settings and state; default: larder-data.")
      .integer("--port-base", options->port_base, 1024, 65535 - 375,
               "Port of the node's HTTP; others follow. Only for the first start.")
      .example("larder up --dir larder-data")
      .run([options] { return run(*options); });
}

}  // namespace larder::cli
