#include <cstdio>
#include <string>

#include "cli/commands.h"
#include "cli/output.h"
#include "node/settings.h"
#include "site/settings.h"

namespace larder::cli {
namespace {

int print_text(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kOk;
}

}  // namespace

std::string make_settings_manual() {
  auto sections = node::describe_node_settings();
  for (auto& section : site::describe_site_settings()) sections.push_back(std::move(section));
  return base::format_settings_manual(sections);
}

void add_settings_commands(Command& root) {
  root.command("settings", "Print every setting of larder.toml: the page docs/settings.md.")
      .example("larder settings > docs/settings.md")
      .run([] { return print_text(make_settings_manual()); });
  root.command("commands", "Print every command: the page docs/commands.md.")
      .example("larder commands > docs/commands.md")
      .run([] { return print_text(format_command_manual(make_commands())); });
}

}  // namespace larder::cli
