#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/listing.h"
#include "site/settings.h"

namespace larder::cli {
namespace {

struct ModeOptions : CommonOptions {
  std::string mode;
};

int check(const std::string& config) {
  const std::string path = config_path(config);
  const auto settings = site::load_site_settings(path);
  if (!settings) return report(settings.error(), "");
  print_line(path + ": OK: site \"" + printable(settings->name) + "\" at " + settings->public_url);
  return kOk;
}

int set_mode(const ModeOptions& options) {
  if (options.mode != "enhanced" && options.mode != "https-only") {
    report({base::ErrorCode::InvalidArgument,
            "no such mode: " + printable(options.mode) + "; write enhanced or https-only"},
           "");
    return kWrongUsage;
  }
  return send_change(Role::Site, options, "PUT", "/api/v1/site/mode", {{"mode", options.mode}},
                     "cannot change the mode", "mode is now " + options.mode);
}

}  // namespace

void add_site_commands(Command& root) {
  Command& site = root.command("site", "Site server: run it, check its settings, administer it.");
  add_site_run_command(site);
  {
    auto config = std::make_shared<std::string>();
    add_config_option(
        site.command("check", "Check the settings file; show every mistake with its line."),
        *config)
        .example("larder site check --config larder.toml")
        .run([config] { return check(*config); });
  }
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(site.command("status", "Show how the running site is."), *options)
        .example("larder site status --json")
        .run([options] { return show_facts(Role::Site, *options, "/api/v1/status"); });
  }
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(site.command("certificates", "Show the certificates of all nodes."),
                       *options)
        .example("larder site certificates")
        .run([options] {
          return show_rows(Role::Site, *options, "/api/v1/certificates", "certificates",
                           {{"NODE", "node"},
                            {"NAME", "name"},
                            {"SOURCE", "source"},
                            {"STATE", "state"},
                            {"SUBJECT", "subject"},
                            {"ISSUER", "issuer"},
                            {"DNS NAMES", "dns_names"},
                            {"NOT AFTER", "not_after"}});
        });
  }
  {
    auto options = std::make_shared<ModeOptions>();
    add_common_options(
        site.command("mode", "Set whether the site issues certificates to its site systems."),
        *options)
        .positional("MODE", options->mode, "enhanced or https-only.")
        .example("larder site mode enhanced")
        .run([options] { return set_mode(*options); });
  }
}

}  // namespace larder::cli
