#include <memory>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/control.h"
#include "cli/node_process.h"
#include "cli/output.h"
#include "cli/process.h"
#include "cli/site_process.h"
#include "node/node.h"
#include "node/settings.h"
#include "site/settings.h"

namespace larder::cli {
namespace {

int run_site(const std::string& config) {
  const auto settings = site::load_site_settings(config_path(config));
  if (!settings) return report(settings.error(), "");
  prepare_process();
  base::configure_log({settings->log_level, settings->log_json});
  Signals signals;
  const base::SystemClock clock;
  const auto process = SiteProcess::start(*settings, clock);
  if (!process) return report(process.error(), "the site does not start");
  base::log_info("site runs",
                 {{"url", settings->public_url}, {"control_socket", settings->control_socket}});
  notify_service_manager("READY=1");
  base::log_info("site stops", {{"signal", std::string(signals.serve({}))}});
  notify_service_manager("STOPPING=1");
  signals.stop([&] { (*process)->stop(); });
  return kOk;
}

int run_node(const std::string& config) {
  const node::SettingsSource source = [path = config_path(config)] {
    return node::load_node_settings(path);
  };
  auto settings = source();
  if (!settings) return report(settings.error(), "");
  prepare_process();
  base::configure_log({settings->log_level, settings->log_json});
  const std::string socket = settings->control_socket;
  Signals signals;
  const base::SystemClock clock;
  const auto node = node::Node::start(*std::move(settings), clock, source);
  if (!node) return report(node.error(), "the node does not start");
  admit_administrators(socket);
  base::log_info("node runs", {{"control_socket", socket}});
  notify_service_manager("READY=1");
  base::log_info("node stops", {{"signal", std::string(signals.serve(node_actions(**node)))}});
  notify_service_manager("STOPPING=1");
  signals.stop([&] { (*node)->stop((*node)->stop_grace()); });
  return kOk;
}

}  // namespace

void add_node_run_command(Command& node) {
  auto config = std::make_shared<std::string>();
  add_config_option(node.command("run", "Run the cache node until SIGTERM or SIGINT."), *config)
      .example("larder node run --config /etc/larder/larder.toml")
      .run([config] { return run_node(*config); });
}

void add_site_run_command(Command& site) {
  auto config = std::make_shared<std::string>();
  add_config_option(site.command("run", "Run the site until SIGTERM or SIGINT."), *config)
      .example("larder site run --config /etc/larder/larder.toml")
      .run([config] { return run_site(*config); });
}

}  // namespace larder::cli
