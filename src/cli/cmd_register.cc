#include <sys/utsname.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "agent/device.h"
#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/device_folder.h"
#include "cli/output.h"
#include "cli/secret_input.h"

namespace larder::cli {
namespace {

struct RegisterOptions {
  std::string token_file;
  std::string folder;
  std::string name;
  bool json = false;
};

std::string machine_name() {
  utsname names{};
  return uname(&names) == 0 ? names.nodename : "device";
}

int register_client(const RegisterOptions& options) {
  const char* const what = "cannot register this device";
  const auto token = read_secret(options.token_file, "LARDER_REGISTRATION_TOKEN");
  if (!token)
    return report(token.error(), what, "get a token from `larder token create-registration`");
  const std::string folder = device_folder(options.folder);
  const base::SystemClock clock;
  const auto registration = agent::register_device(
      folder, *token, options.name.empty() ? machine_name() : options.name, clock);
  if (!registration) return report(registration.error(), what);
  const nlohmann::json facts = {
      {"client_id", registration->client_id},
      {"name", registration->name},
      {"site", registration->site_url},
      {"token_expires_at", base::to_rfc3339(registration->token_expires_at)},
      {"folder", folder}};
  if (options.json) {
    print_json(facts);
  } else {
    print_facts({{"registered as", "client_id"},
                 {"name", "name"},
                 {"site", "site"},
                 {"token expires", "token_expires_at"},
                 {"state", "folder"}},
                facts);
  }
  return kOk;
}

}  // namespace

void add_register_command(Command& client) {
  auto options = std::make_shared<RegisterOptions>();
  Command& command = client.command(
      "register", "Make this device's key and register it at the site of a registration token.");
  add_json_option(command, options->json)
      .option("--token-file", options->token_file,
              "File with the token; \"-\": standard input; default: $LARDER_REGISTRATION_TOKEN.")
      .option("--dir", options->folder, kDeviceFolderText)
      .option("--name", options->name, "Name that administrators see; default: the machine's.")
      .example("larder client register --token-file devices.token")
      .run([options] { return register_client(*options); });
}

}  // namespace larder::cli
