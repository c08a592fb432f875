#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/secret_input.h"
#include "node/settings.h"

namespace larder::cli {
namespace {

constexpr std::uint64_t kCertificateFileLimit = 4 << 20;  // bytes

struct JoinOptions : CommonOptions {
  std::string token_file;
};

// What reading the settings alone cannot see.
base::Status check_files(const node::NodeSettings& settings) {
  std::vector<std::string> files = settings.client_trust;
  for (const node::OriginSettings& origin : settings.origins) {
    if (!origin.ca_file.empty()) files.push_back(origin.ca_file);
  }
  for (const std::string& file : files) {
    if (const auto text = base::read_file(file, kCertificateFileLimit); !text)
      return std::unexpected(text.error());
  }
  return {};
}

int check(const std::string& config) {
  const std::string path = config_path(config);
  const auto settings = node::load_node_settings(path);
  if (!settings) return report(settings.error(), "");
  if (const auto status = check_files(*settings); !status) return report(status.error(), path);
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
