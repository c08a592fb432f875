#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/secret_input.h"

namespace larder::cli {
namespace {

struct TokenOptions : CommonOptions {
  std::string output;
  std::string node;
  std::vector<std::string> names;
  std::vector<std::string> addresses;
  std::int64_t lifetime_hours = 72;
  std::int64_t uses = 100;
};

// The token is shown once: the site keeps only its hash.
int create(const TokenOptions& options, const std::string& path, const nlohmann::json& body,
           const char* what) {
  auto control = Control::open(Role::Site, options.config);
  if (!control) return report(control.error(), what);
  auto answer = control->send("POST", path, body);
  if (!answer)
    return report(answer.error(), what, control_advice(Role::Site, answer.error(), options.config));
  const auto token = base::json_string(*answer, "token");
  if (!token) return report(token.error(), what);
  if (!options.output.empty()) {
    if (auto status = write_secret(options.output, *token); !status)
      return report(status.error(), what, "the token is lost; remove the file and make a new one");
    (*answer)["token_file"] = options.output;
    answer->erase("token");
  }
  if (options.json) {
    print_json(*answer);
  } else if (options.output.empty()) {
    print_line(*token);
  } else {
    print_facts({{"token file", "token_file"}, {"expires", "expires_at"}}, *answer);
  }
  return kOk;
}

int create_join(const TokenOptions& options) {
  return create(
      options, "/api/v1/join-tokens",
      {{"node", options.node}, {"names", options.names}, {"addresses", options.addresses}},
      "cannot make a join token");
}

int create_registration(const TokenOptions& options) {
  return create(options, "/api/v1/registration-tokens",
                {{"lifetime_seconds", options.lifetime_hours * 3600}, {"uses", options.uses}},
                "cannot make a registration token");
}

}  // namespace

void add_token_commands(Command& root) {
  Command& token = root.command("token", "Tokens that let nodes and devices in.");
  {
    auto options = std::make_shared<TokenOptions>();
    Command& join = token.command(
        "create-join", "Make a token for one node: good once and for one hour; printed once.");
    add_common_options(join, *options)
        .option("--node", options->node, "The node's name at the site.", Need::Required)
        .options("--name", options->names, "DNS names that the node's certificate may carry.")
        .options("--address", options->addresses,
                 "Addresses that the node's certificate may carry.")
        .option("--output", options->output, "Write the token to this new 0600 file.")
        .example(
            "larder token create-join --node node2 --name node2.larder.example.org "
            "--output node2.token")
        .run([options] { return create_join(*options); });
  }
  {
    auto options = std::make_shared<TokenOptions>();
    Command& registration = token.command(
        "create-registration", "Make a token with which devices register; printed once.");
    add_common_options(registration, *options)
        .integer("--lifetime-hours", options->lifetime_hours, 1, 168, "How long it is good.")
        .integer("--uses", options->uses, 1, 1'000'000, "How many devices may use it.")
        .option("--output", options->output, "Write the token to this new 0600 file.")
        .example("larder token create-registration --uses 30 --output devices.token")
        .run([options] { return create_registration(*options); });
  }
}

}  // namespace larder::cli
