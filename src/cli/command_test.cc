#include "cli/command.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "cli/commands.h"

namespace larder::cli {
namespace {

int run(const Command& root, std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "larder");
  return run_command_line(root, static_cast<int>(arguments.size()), arguments.data());
}

struct Sample {
  std::string word;
  std::vector<std::string> list;
  std::vector<std::string> files;
  std::vector<std::string> lines;
  std::int64_t number = 3;
  bool flag = false;
  int runs = 0;
  Command root{"larder", "Test."};

  Sample() {
    root.command("group", "Group.")
        .command("verb", "Verb.")
        .option("--word", word, "Word.", Need::Required)
        .options("--list", list, "List.")
        .lines("--line", lines, "Lines.")
        .integer("--number", number, 1, 10, "Number.")
        .flag("--flag", flag, "Flag.")
        .positionals("FILE", files, "Files.")
        .run([this] {
          ++runs;
          return kFailed;
        });
  }
};

TEST(CommandLine, RunsTheNamedCommandAndReturnsItsCode) {
  Sample sample;
  EXPECT_EQ(
      run(sample.root, {"group", "verb", "--word", "w", "--list", "a, b ", "--list", "c", "--line",
                        "a, b", "--line", "c", "--number", "7", "--flag", "x", "y,z"}),
      kFailed);
  EXPECT_EQ(sample.runs, 1);
  EXPECT_EQ(sample.word, "w");
  EXPECT_EQ(sample.list, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(sample.lines, (std::vector<std::string>{"a, b", "c"}));
  EXPECT_EQ(sample.files, (std::vector<std::string>{"x", "y,z"})) << "files may have commas";
  EXPECT_EQ(sample.number, 7);
  EXPECT_TRUE(sample.flag);
}

TEST(CommandLine, WrongUsageIsTwoAndRunsNothing) {
  Sample sample;
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{},
        {"group"},
        {"nothing"},
        {"group", "verb"},
        {"group", "verb", "--word", "w"},
        {"group", "verb", "--word", "w", "x", "--number", "11"},
        {"group", "verb", "--word", "w", "x", "--list", "a, ,b"},
        {"group", "verb", "--word", "w", "x", "--what"}}) {
    EXPECT_EQ(run(sample.root, arguments), kWrongUsage);
  }
  EXPECT_EQ(sample.runs, 0);
}

TEST(CommandLine, HelpAndVersionAreSuccess) {
  Sample sample;
  EXPECT_EQ(run(sample.root, {"--help"}), kOk);
  EXPECT_EQ(run(sample.root, {"--version"}), kOk);
  EXPECT_EQ(run(sample.root, {"group", "verb", "--help"}), kOk);
}

TEST(Commands, EveryCommandHasAnExampleThatNamesIt) {
  const Command root = make_commands();
  int commands = 0;
  std::function<void(const Command&, const std::string&)> look = [&](const Command& command,
                                                                     const std::string& path) {
    if (command.function()) {
      ++commands;
      EXPECT_FALSE(command.examples().empty()) << path;
      for (const std::string& example : command.examples())
        EXPECT_TRUE(example.starts_with(path)) << example;
    }
    for (const Command& below : command.commands()) look(below, path + " " + below.name());
  };
  look(root, "larder");
  EXPECT_GT(commands, 10);
}

// The pages are what the program prints: run the named command after a change.
TEST(Manual, SettingsPageIsWhatTheTableSays) {
  const auto page = base::read_file(LARDER_DOCS "/settings.md", 1 << 20);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_TRUE(*page == make_settings_manual()) << "larder settings > docs/settings.md";
}

TEST(Manual, CommandsPageIsWhatTheTreeSays) {
  const auto page = base::read_file(LARDER_DOCS "/commands.md", 1 << 20);
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_TRUE(*page == format_command_manual(make_commands()))
      << "larder commands > docs/commands.md";
}

TEST(Commands, NoOptionTakesASecretAsAnArgument) {
  std::function<void(const Command&)> look = [&](const Command& command) {
    for (const Command::Option& option : command.all_options()) {
      const bool names_secret = option.name.find("token") != std::string::npos ||
                                option.name.find("password") != std::string::npos ||
                                option.name.find("secret") != std::string::npos;
      EXPECT_TRUE(!names_secret || option.name.ends_with("-file")) << option.name;
    }
    for (const Command& below : command.commands()) look(below);
  };
  look(make_commands());
}

}  // namespace
}  // namespace larder::cli
