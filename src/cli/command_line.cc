// The only file that knows CLI11: from our tree of commands to its parser.
#include <CLI/CLI.hpp>
#include <iostream>

#include "cli/command.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

using Chosen = const Command*;

// People write "a, b".
std::string trim_item(std::string& item) {
  CLI::detail::trim(item);
  return item.empty() ? "an item of the list is empty" : "";
}

struct AddOption {
  CLI::App& app;
  const Command::Option& option;

  CLI::Option* operator()(std::string* target) const {
    return app.add_option(option.name, *target, option.text);
  }
  CLI::Option* operator()(bool* target) const {
    return app.add_flag(option.name, *target, option.text);
  }
  CLI::Option* operator()(const Command::Option::Integer& integer) const {
    return app.add_option(option.name, *integer.target, option.text)
        ->check(CLI::Range(integer.min, integer.max))
        ->capture_default_str();
  }
  CLI::Option* operator()(const Command::Option::List& list) const {
    CLI::Option* const added = app.add_option(option.name, *list.target, option.text);
    // One value per mention, else an option would swallow the positional behind it.
    if (list.commas) {
      added->delimiter(',');
      added->transform(CLI::Validator(trim_item, ""));
    }
    if (option.name.starts_with('-')) added->allow_extra_args(false);
    return added;
  }
};

void build(CLI::App& app, const Command& command, Chosen& chosen) {
  for (const Command::Option& option : command.all_options()) {
    CLI::Option* const added = std::visit(AddOption{app, option}, option.target);
    if (option.is_required) added->required();
  }
  std::string footer;
  for (const std::string& example : command.examples())
    footer += (footer.empty() ? "Example:\n  " : "\n  ") + example;
  for (const auto& [code, meaning] : command.all_exit_codes())
    footer += (footer.find("Exit code") == std::string::npos ? "\nExit codes beyond 0, 1, 2:\n  "
                                                             : "\n  ") +
              std::to_string(code) + " " + meaning;
  app.footer(footer);
  for (const Command& below : command.commands())
    build(*app.add_subcommand(below.name(), below.text()), below, chosen);
  if (command.function()) {
    app.callback([&command, &chosen] { chosen = &command; });
  } else {
    app.require_subcommand(1);
  }
}

// The deepest command that was named, for advice.
std::string named_path(const CLI::App& app) {
  const auto below = app.get_subcommands();
  return app.get_name() + (below.empty() ? "" : " " + named_path(*below.front()));
}

}  // namespace

int run_command_line(const Command& root, int argc, const char* const* argv) {
  // CLI11 reports by exceptions; they end here.
  CLI::App app(root.text(), root.name());
  Chosen chosen = nullptr;
  try {
    build(app, root, chosen);
    app.set_version_flag("--version", "larder " LARDER_VERSION);
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {  // --help and --version
    return app.exit(help, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> unknown = app.remaining(true);
    std::cerr << "larder: "
              << (unknown.empty() ? std::string(error.what())
                                  : "there is no command or option " + printable(unknown.front()))
              << "\nSee `" << named_path(app) << " --help`.\n";
    return kWrongUsage;
  } catch (const std::exception& error) {
    std::cerr << "larder: " << error.what() << "\n";
    return kFailed;
  }
  return chosen == nullptr ? kWrongUsage : chosen->function()();
}

}  // namespace larder::cli
