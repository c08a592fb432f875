#include "cli/command.h"

namespace larder::cli {

Command& Command::command(std::string name, std::string text) {
  return commands_.emplace_back(std::move(name), std::move(text));
}

Command& Command::option(std::string name, std::string& target, std::string text, Need need) {
  options_.push_back({std::move(name), std::move(text), need == Need::Required, &target});
  return *this;
}

Command& Command::options(std::string name, std::vector<std::string>& target, std::string text,
                          Need need) {
  options_.push_back(
      {std::move(name), std::move(text), need == Need::Required, Option::List{&target, true}});
  return *this;
}

Command& Command::lines(std::string name, std::vector<std::string>& target, std::string text) {
  options_.push_back({std::move(name), std::move(text), false, Option::List{&target, false}});
  return *this;
}

Command& Command::integer(std::string name, std::int64_t& target, std::int64_t min,
                          std::int64_t max, std::string text) {
  options_.push_back({std::move(name), std::move(text), false, Option::Integer{&target, min, max}});
  return *this;
}

Command& Command::flag(std::string name, bool& target, std::string text) {
  options_.push_back({std::move(name), std::move(text), false, &target});
  return *this;
}

Command& Command::positional(std::string name, std::string& target, std::string text, Need need) {
  return option(std::move(name), target, std::move(text), need);
}

Command& Command::positionals(std::string name, std::vector<std::string>& target, std::string text,
                              Need need) {
  options_.push_back(
      {std::move(name), std::move(text), need == Need::Required, Option::List{&target, false}});
  return *this;
}

Command& Command::example(std::string line) {
  examples_.push_back(std::move(line));
  return *this;
}

Command& Command::exit_codes(std::vector<std::pair<int, std::string>> codes) {
  exit_codes_ = std::move(codes);
  return *this;
}

Command& Command::run(std::function<int()> function) {
  function_ = std::move(function);
  return *this;
}

namespace {

void describe(const Command& command, const std::string& path, std::string& out) {
  if (command.function()) {
    out += "\n## `" + path + "`\n\n" + command.text() + "\n";
    if (!command.all_options().empty()) out += '\n';
    for (const Command::Option& option : command.all_options()) {
      out += "* `" + option.name + "`" + (option.is_required ? " (required)" : "") + ": " +
             option.text + "\n";
    }
    if (!command.all_exit_codes().empty()) out += "\nFurther exit codes:\n\n";
    for (const auto& [code, meaning] : command.all_exit_codes()) {
      out += "* " + std::to_string(code) + ": " + meaning + "\n";
    }
    out += "\n```\n";
    for (const std::string& example : command.examples()) out += example + "\n";
    out += "```\n";
  }
  for (const Command& below : command.commands()) describe(below, path + " " + below.name(), out);
}

}  // namespace

std::string format_command_manual(const Command& root) {
  std::string out =
      "# Commands\n\n"
      "Exit codes: 0 it worked, 1 it failed, 2 wrong usage. `--config` defaults to "
      "`$LARDER_CONFIG`, then\n"
      "`/etc/larder/larder.toml`. Tokens come by file, standard input (`-`) or environment, never "
      "as an\n"
      "argument.\n";
  describe(root, root.name(), out);
  return out;
}

}  // namespace larder::cli
