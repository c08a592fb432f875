// Options that many commands share.
#pragma once

#include <string>

#include "cli/command.h"

namespace larder::cli {

struct CommonOptions {
  std::string config;
  bool json = false;
};

inline Command& add_config_option(Command& command, std::string& target) {
  return command.option("--config", target,
                        "Settings file; default: $LARDER_CONFIG, then /etc/larder/larder.toml.");
}

inline Command& add_json_option(Command& command, bool& target) {
  return command.flag("--json", target, "Print facts as JSON.");
}

inline Command& add_common_options(Command& command, CommonOptions& options) {
  add_config_option(command, options.config);
  return add_json_option(command, options.json);
}

}  // namespace larder::cli
