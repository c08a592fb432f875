// The tree of commands as plain data: names, options, an example, and what runs. Families of
// commands declare themselves here (cmd_*.cc); command_line.cc alone knows the library that parses.
//
//   Command& block = client.command("block", "Refuse a client from now on.");
//   auto options = std::make_shared<BlockOptions>();
//   block.positional("ID", options->id, "The client's id, from `larder client list`.");
//   block.example("larder client block 0193...").run([options] { return block_client(*options); });
//
// Targets of options are written while parsing, so they must live as long as the tree: in a struct
// that the run function shares.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace larder::cli {

// What the program returns.
inline constexpr int kOk = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;

enum class Need { Optional, Required };

class Command {
 public:
  Command(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {}

  // A command below this one; the reference lives as long as the tree.
  Command& command(std::string name, std::string text);

  Command& option(std::string name, std::string& target, std::string text,
                  Need need = Need::Optional);
  // May be given several times, and takes comma-separated items: --dns a,b --dns c.
  Command& options(std::string name, std::vector<std::string>& target, std::string text,
                   Need need = Need::Optional);
  // May be given several times, each with one whole value.
  Command& lines(std::string name, std::vector<std::string>& target, std::string text);
  Command& integer(std::string name, std::int64_t& target, std::int64_t min, std::int64_t max,
                   std::string text);
  Command& flag(std::string name, bool& target, std::string text);
  Command& positional(std::string name, std::string& target, std::string text,
                      Need need = Need::Required);
  Command& positionals(std::string name, std::vector<std::string>& target, std::string text,
                       Need need = Need::Required);
  Command& example(std::string line);
  // What it returns beyond 0, 1 and 2.
  Command& exit_codes(std::vector<std::pair<int, std::string>> codes);
  Command& run(std::function<int()> function);

  struct Option {
    struct Integer {
      std::int64_t* target;
      std::int64_t min;
      std::int64_t max;
    };
    struct List {
      std::vector<std::string>* target;
      bool commas;
    };
    std::string name;
    std::string text;
    bool is_required = false;
    std::variant<std::string*, bool*, Integer, List> target;
  };

  const std::string& name() const { return name_; }
  const std::string& text() const { return text_; }
  const std::vector<Option>& all_options() const { return options_; }
  const std::vector<std::string>& examples() const { return examples_; }
  const std::vector<std::pair<int, std::string>>& all_exit_codes() const { return exit_codes_; }
  const std::list<Command>& commands() const { return commands_; }
  const std::function<int()>& function() const { return function_; }

 private:
  std::string name_;
  std::string text_;
  std::vector<Option> options_;
  std::vector<std::string> examples_;
  std::vector<std::pair<int, std::string>> exit_codes_;
  std::list<Command> commands_;  // a list, so that references stay good
  std::function<int()> function_;
};

// Parses, runs the chosen command and returns its exit code; usage errors and help are printed
// here.
int run_command_line(const Command& root, int argc, const char* const* argv);

// The manual page docs/commands.md.
std::string format_command_manual(const Command& root);

}  // namespace larder::cli
