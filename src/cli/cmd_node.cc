#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/control.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "cli/secret_input.h"
#include "node/drive_advice.h"
#include "node/setting_files.h"
#include "node/settings.h"

namespace larder::cli {
namespace {

struct JoinOptions : CommonOptions {
  std::string token_file;
};

int check(const std::string& config) {
  const std::string path = config_path(config);
  const auto settings = node::load_node_settings(path);
  if (!settings) return report(settings.error(), "");
  if (const auto status = node::check_setting_files(*settings); !status)
    return report(status.error(), path);
  for (const std::string& advice : node::advise_on_drives(node::find_drive_places(*settings))) {
    print_line(path + ": warning: " + advice);
  }
  print_line(path + ": OK: node \"" + settings->name + "\", " +
             std::to_string(settings->drives.size()) + " drive(s), " +
             std::to_string(settings->origins.size()) + " origin(s)");
  return kOk;
}

int join(const JoinOptions& options) {
  const auto token = read_secret(options.token_file, "LARDER_JOIN_TOKEN");
  if (!token)
    return report(token.error(), "cannot join", "get a token from `larder token create-join`");
  return send_change(Role::Node, options, "POST", "/api/v1/join", {{"token", *token}},
                     "cannot join", "joined");
}

int reload(const CommonOptions& options) {
  auto control = Control::open(Role::Node, options.config);
  if (!control) return report(control.error(), "nothing has changed");
  const auto answer = control->send("POST", "/api/v1/settings/reload", nullptr);
  if (!answer) {
    return report(answer.error(), "nothing has changed",
                  control_advice(Role::Node, answer.error(), options.config));
  }
  if (options.json) {
    print_line(answer->dump());
    return kOk;
  }
  const auto list = [&](const char* member, const char* none) {
    std::string text;
    if (const auto names = answer->find(member); names != answer->end() && names->is_array()) {
      for (const auto& name : *names) {
        if (name.is_string()) text += (text.empty() ? "" : ", ") + name.get<std::string>();
      }
    }
    return text.empty() ? std::string(none) : text;
  };
  print_line("changed: " + list("changed", "nothing"));
  print_line("needs a restart: " + list("needs_restart", "nothing"));
  return kOk;
}

}  // namespace

void add_node_commands(Command& root) {
  Command& node =
      root.command("node", "Cache node: run it, check its settings, join it to a site.");
  add_node_run_command(node);
  {
    auto config = std::make_shared<std::string>();
    add_config_option(
        node.command("check", "Check the settings file; show every mistake with its line."),
        *config)
        .example("larder node check --config larder.toml")
        .run([config] { return check(*config); });
  }
  {
    auto options = std::make_shared<JoinOptions>();
    add_common_options(node.command("join", "Join the running node to the site of a join token."),
                       *options)
        .option("--token-file", options->token_file,
                "File with the token; \"-\": standard input; default: $LARDER_JOIN_TOKEN.")
        .example("larder node join --token-file node2.token")
        .run([options] { return join(*options); });
  }
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(
        node.command("reload",
                     "Have the running node read its settings anew; drops no connection."),
        *options)
        .example("larder node reload --config /etc/larder/larder.toml")
        .run([options] { return reload(*options); });
  }
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(node.command("status", "Show how the running node is."), *options)
        .example("larder node status --json")
        .run([options] { return show_facts(Role::Node, *options, "/api/v1/status"); });
  }
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(node.command("list", "Show the nodes of the running site."), *options)
        .example("larder node list")
        .run([options] {
          return show_rows(Role::Site, *options, "/api/v1/nodes", "nodes",
                           {{"NAME", "name"},
                            {"ID", "id"},
                            {"STATE", "state"},
                            {"NAMES", "names"},
                            {"LAST REPORT", "last_report_at"},
                            {"VERSION", "version"}});
        });
  }
}

}  // namespace larder::cli
