#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/listing.h"

namespace larder::cli {
namespace {

struct ClientOptions : CommonOptions {
  std::string id;
};

int set_blocked(const ClientOptions& options, const char* verb) {
  return send_change(Role::Site, options, "POST",
                     "/api/v1/clients/" + encode_segment(options.id) + "/" + verb, nlohmann::json(),
                     std::string("cannot ") + verb + " " + printable(options.id),
                     std::string(verb) + "ed " + options.id);
}

void add_block_command(Command& client, const char* verb, const char* text) {
  auto options = std::make_shared<ClientOptions>();
  add_common_options(client.command(verb, text), *options)
      .positional("ID", options->id, "The client's id, from `larder client list`.")
      .example(std::string("larder client ") + verb + " 01938c2e-...")
      .run([options, verb] { return set_blocked(*options, verb); });
}

}  // namespace

void add_client_commands(Command& root) {
  Command& client =
      root.command("client", "Devices: register this one; list and block at the site.");
  add_register_command(client);
  {
    auto options = std::make_shared<CommonOptions>();
    add_common_options(client.command("list", "Show the registered devices."), *options)
        .example("larder client list --json")
        .run([options] {
          return show_rows(Role::Site, *options, "/api/v1/clients", "clients",
                           {{"ID", "id"},
                            {"NAME", "name"},
                            {"STATE", "state"},
                            {"REGISTERED", "registered_at"},
                            {"LAST SEEN", "last_seen_at"}});
        });
  }
  add_block_command(client, "block", "Refuse a device from now on, at the site and at every node.");
  add_block_command(client, "unblock", "Let a blocked device in again.");
}

}  // namespace larder::cli
