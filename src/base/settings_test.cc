#include "base/settings.h"

#include <gtest/gtest.h>

#include "base/address.h"

namespace larder::base {
namespace {

enum class Mode { Slow, Fast };

struct Drive {
  std::string path;
  std::uint64_t size = 10ULL << 30;
};

struct Sample {
  std::string name = "sample";
  std::vector<std::string> words = {"one"};
  int count = 3;
  bool on = false;
  Mode mode = Mode::Fast;
  std::chrono::milliseconds wait{1500};
  std::optional<ListenAddress> listen;
  std::vector<Drive> drives;
};

const SettingsSection<Drive>& drive_section() {
  static const SettingsSection<Drive> section = [] {
    SettingsSection<Drive> s("[[sample.drive]]", "A drive.");
    s.text("path", &Drive::path, {.text = "Folder.", .required = true});
    s.bytes("size", &Drive::size, 1 << 20, 1ULL << 40, {.text = "How much."});
    return s;
  }();
  return section;
}

SettingsSection<Sample> sample_section() {
  SettingsSection<Sample> s("[sample]", "A sample.");
  s.text("name", &Sample::name, {.text = "Name."});
  s.texts("words", &Sample::words, {.text = "Words."});
  s.integer("count", &Sample::count, 1, 10, {.text = "Count.", .effect = Effect::Live});
  s.boolean("on", &Sample::on, {.text = "On."});
  s.choice<Mode>("mode", &Sample::mode, {{"slow", Mode::Slow}, {"fast", Mode::Fast}},
                 {.text = "M"});
  s.duration("wait", &Sample::wait, std::chrono::milliseconds(1), std::chrono::hours(1),
             {.text = "W"});
  s.optional_value("listen", &Sample::listen, parse_listen_address,
                   [](const ListenAddress& address) { return to_text(address); }, {.text = "L"});
  s.tables("drive", &Sample::drives, drive_section());
  return s;
}

Result<Sample> read(std::string_view text) {
  const auto file = parse_settings(text, "x.toml");
  if (!file) return std::unexpected(file.error());
  SettingsErrors errors("x.toml");
  check_top_level(*file, {"sample", "other"}, errors);
  Sample out;
  for (const auto& found : find_tables(*file, "sample", false, errors))
    sample_section().read(*found.table, found.line, out, errors);
  if (Status status = errors.status(); !status) return std::unexpected(status.error());
  return out;
}

std::string mistakes(std::string_view text) {
  const auto out = read(text);
  return out ? "none" : out.error().message;
}

TEST(Settings, ReadsEveryType) {
  const auto out = read(R"([sample]
name = "n"
words = ["a", "b"]
count = 7
on = true
mode = "slow"
wait = "2min"
listen = "[::]:80"
[[sample.drive]]
path = "/a"
[[sample.drive]]
path = "/b"
size = "2 GiB"
)");
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ(out->name, "n");
  EXPECT_EQ(out->words, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(out->count, 7);
  EXPECT_TRUE(out->on);
  EXPECT_EQ(out->mode, Mode::Slow);
  EXPECT_EQ(out->wait, std::chrono::minutes(2));
  EXPECT_EQ(out->listen, (ListenAddress{"::", 80, true}));
  ASSERT_EQ(out->drives.size(), 2U);
  EXPECT_EQ(out->drives[0].size, 10ULL << 30) << "the default";
  EXPECT_EQ(out->drives[1].size, 2ULL << 30);
}

TEST(Settings, AMisspeltNameGetsItsLineAndTheNearestName) {
  EXPECT_EQ(mistakes("[sample]\n\ncuont = 7\n"),
            "x.toml:3: [sample] cuont: there is no such setting; did you mean \"count\"?");
  EXPECT_EQ(mistakes("[smaple]\n"),
            "x.toml:1: smaple: there is no such table; did you mean \"sample\"?");
}

TEST(Settings, ShowsAllMistakesInTheOrderOfTheirLines) {
  EXPECT_EQ(
      mistakes("[sample]\nwait = 5\ncount = 11\nmode = \"fats\"\n[[sample.drive]]\nsize = \"4\"\n"),
      "x.toml:2: [sample] wait: is a number; it must be a duration in quotes, like \"30s\"\n"
      "x.toml:3: [sample] count: is out of range; it must be 1 to 10\n"
      "x.toml:4: [sample] mode: \"fats\" is no choice; did you mean \"fast\"?\n"
      "x.toml:5: [[sample.drive]] path: missing; it has no default\n"
      "x.toml:6: [[sample.drive]] size: is out of range; it must be 1MiB to 1TiB");
}

TEST(Settings, BoundsTheMistakesShown) {
  std::string text = "[sample]\n";
  for (int index = 0; index < 50; ++index) text += "zzzzzzzz" + std::to_string(index) + " = 1\n";
  const std::string shown = mistakes(text);
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 20);
  EXPECT_TRUE(shown.ends_with("x.toml: and 30 more")) << shown;
}

TEST(Settings, RefusesWrongKinds) {
  for (const char* line : {"name = 1", "name = \"a\\u0001\"", "words = \"a\"", "words = [1]",
                           "on = \"yes\"", "count = 1.5", "count = \"1\"", "listen = \"80\"",
                           "wait = \"1 year\"", "drive = 1", "wait = 1979-05-27"}) {
    EXPECT_NE(mistakes("[sample]\n" + std::string(line) + "\n"), "none") << line;
  }
  EXPECT_NE(mistakes("sample = 1\n"), "none");
  EXPECT_NE(mistakes("[[sample]]\n"), "none");
}

TEST(Settings, SyntaxErrorsHaveLineAndColumn) {
  EXPECT_TRUE(mistakes("[sample]\nname = \n").starts_with("x.toml:2:"))
      << mistakes("[sample]\nname = \n");
  EXPECT_TRUE(mistakes("[sample]\na = 1\na = 2\n").starts_with("x.toml:3:"));
  EXPECT_TRUE(mistakes("\u03FFo.").starts_with("x.toml:1:"));
}

TEST(Settings, TheManualComesFromTheTable) {
  const std::string manual = format_settings_manual({sample_section().facts()});
  EXPECT_NE(manual.find("| `count` | whole number | `3` | 1 to 10 | reload | Count. |"),
            std::string::npos)
      << manual;
  EXPECT_NE(manual.find("| `wait` | duration | `\"1500ms\"` | 1ms to 1h | restart | W |"),
            std::string::npos);
}

TEST(ListenAddress, TakesNumbersOnly) {
  EXPECT_EQ(to_text(parse_listen_address("127.0.0.1:8080").value()), "127.0.0.1:8080");
  EXPECT_EQ(to_text(parse_listen_address("[::1]:0").value()), "[::1]:0");
  for (const char* text : {"", ":80", "80", "localhost:80", "::1:80", "1.2.3.4:65536", "1.2.3.4:-1",
                           "[1.2.3.4]:80", "1.2.3.4:080", "1.2.3:80", "[::1%lo]:80"})
    EXPECT_FALSE(parse_listen_address(text)) << text;
}

TEST(AddressRange, ContainsByPrefix) {
  const AddressRange ten = parse_address_range("10.0.0.0/8").value();
  EXPECT_TRUE(ten.contains("10.255.0.1"));
  EXPECT_TRUE(ten.contains("::ffff:10.1.2.3")) << "mapped";
  EXPECT_FALSE(ten.contains("11.0.0.1"));
  EXPECT_FALSE(ten.contains("a00::1"));
  EXPECT_FALSE(ten.contains("host"));
  const AddressRange local = parse_address_range("fc00::/7").value();
  EXPECT_TRUE(local.contains("fdff::1"));
  EXPECT_FALSE(local.contains("fe80::1"));
  EXPECT_TRUE(parse_address_range("0.0.0.0/0").value().contains("8.8.8.8"));
  EXPECT_EQ(to_text(parse_address_range("192.0.2.7").value()), "192.0.2.7/32");
  for (const char* text :
       {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "fc00::/129", "x/8", "10.0.0.0/"})
    EXPECT_FALSE(parse_address_range(text)) << text;
}

}  // namespace
}  // namespace larder::base
