#include "base/settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>

#include "base/encoding.h"

namespace larder::base {
namespace {

// Levenshtein distance, for advice on a misspelt name.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

std::string kind_of(const SettingsValue& value) {
  struct Kind {
    std::string operator()(const SettingsValue::Other& other) const { return other.kind; }
    std::string operator()(bool) const { return "true or false"; }
    std::string operator()(std::int64_t) const { return "a number"; }
    std::string operator()(const std::string&) const { return "a text"; }
    std::string operator()(const std::vector<SettingsValue>&) const { return "a list"; }
    std::string operator()(const SettingsTable&) const { return "a table"; }
  };
  return std::visit(Kind{}, value.data);
}

std::unexpected<Error> wrong_kind(const SettingsValue& value, std::string_view wanted) {
  return fail(ErrorCode::InvalidArgument,
              "is " + kind_of(value) + "; it must be " + std::string(wanted));
}

struct DurationUnit {
  std::string_view name;
  std::int64_t milliseconds;
};
constexpr std::array<DurationUnit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"min", 60'000}, {"s", 1000}, {"ms", 1}}};

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && number >= 0) {
    std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    if (unit.starts_with(' ')) unit.remove_prefix(1);
    for (const DurationUnit& known : kDurationUnits) {
      std::int64_t total = 0;
      if (known.name == unit && !__builtin_mul_overflow(number, known.milliseconds, &total))
        return std::chrono::milliseconds(total);
    }
  }
  return fail(ErrorCode::InvalidArgument,
              "is not a duration: write a whole number with ms, s, min, h or d, like \"30s\"");
}

std::unexpected<Error> out_of_range(std::string_view min, std::string_view max) {
  return fail(ErrorCode::InvalidArgument,
              "is out of range; it must be " + settings_detail::between(min, max));
}

// Characters that Markdown tables or terminals would read as their own.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

const SettingsMember* SettingsTable::find(std::string_view name) const {
  const auto found =
      std::find_if(members.begin(), members.end(),
                   [&](const SettingsMember& member) { return member.name == name; });
  return found == members.end() ? nullptr : &*found;
}

void SettingsErrors::add(int line, std::string message) {
  ++count_;
  if (shown_.size() < kSettingsErrorLimit) shown_.emplace_back(line, std::move(message));
}

Status SettingsErrors::status() const {
  if (count_ == 0) return {};
  auto sorted = shown_;
  std::sort(sorted.begin(), sorted.end());
  std::string text;
  for (const auto& [line, message] : sorted) {
    if (!text.empty()) text += '\n';
    text += file_name_;
    if (line > 0) text += ":" + std::to_string(line);
    text += ": " + message;
  }
  if (count_ > shown_.size())
    text += "\n" + file_name_ + ": and " + std::to_string(count_ - shown_.size()) + " more";
  return fail(ErrorCode::InvalidArgument, std::move(text));
}

void check_top_level(const SettingsTable& file, const std::vector<std::string>& known,
                     SettingsErrors& errors) {
  for (const SettingsMember& member : file.members) {
    if (std::find(known.begin(), known.end(), member.name) == known.end())
      errors.add(member.line, member.name + ": there is no such table" +
                                  settings_detail::advice(member.name, known));
  }
}

std::vector<SettingsTableAt> find_tables(const SettingsTable& parent, std::string_view name,
                                         bool repeated, SettingsErrors& errors) {
  const SettingsMember* const member = parent.find(name);
  if (member == nullptr) return {};
  const std::string bare(name);
  if (!repeated) {
    if (const auto* table = std::get_if<SettingsTable>(&member->value.data))
      return {{table, member->line}};
    errors.add(member->line, bare + ": must be one table: write [" + bare + "]");
    return {};
  }
  std::vector<SettingsTableAt> found;
  const auto* const list = std::get_if<std::vector<SettingsValue>>(&member->value.data);
  bool good = list != nullptr && list->size() <= kSettingsListLimit;
  if (good) {
    for (const SettingsValue& item : *list) {
      if (const auto* table = std::get_if<SettingsTable>(&item.data)) {
        found.push_back({table, item.line});
      } else {
        good = false;
      }
    }
  }
  if (good) return found;
  errors.add(member->line, bare + ": must be tables, at most " +
                               std::to_string(kSettingsListLimit) +
                               ": write [[...]] around its name");
  return {};
}

std::string format_settings_manual(const std::vector<SettingsSectionFacts>& sections) {
  std::string out =
      "# Settings\n\n"
      "Larder reads one TOML file. This page is printed by `larder settings`, from the same table "
      "that\n"
      "checks the file. An unknown or wrong setting is an error with its line; `larder node check` "
      "and\n"
      "`larder site check` show all mistakes of a file at once. Sizes are whole numbers with B, "
      "KB, MB,\n"
      "GB, TB, KiB, MiB, GiB or TiB; durations are whole numbers with ms, s, min, h or d.\n";
  for (const SettingsSectionFacts& section : sections) {
    out += "\n## `" + section.header + "`\n\n" + section.text + "\n\n";
    out += "| setting | type | default | limits | changed by | what it does |\n";
    out += "| --- | --- | --- | --- | --- | --- |\n";
    for (const SettingFacts& setting : section.settings) {
      out += "| `" + setting.name + "` | " + setting.type + " | " +
             (setting.default_text == "required" ? "required"
                                                 : "`" + cell(setting.default_text) + "`") +
             " | " + cell(setting.limits) + " | " +
             (setting.effect == Effect::Live ? "reload" : "restart") + " | " + cell(setting.text) +
             " |\n";
    }
  }
  return out;
}

namespace settings_detail {

Result<bool> read_boolean(const SettingsValue& value) {
  if (const bool* boolean = std::get_if<bool>(&value.data)) return *boolean;
  return wrong_kind(value, "true or false, without quotes");
}

Result<std::int64_t> read_integer(const SettingsValue& value, std::int64_t min, std::int64_t max) {
  const auto* const number = std::get_if<std::int64_t>(&value.data);
  if (number == nullptr) return wrong_kind(value, "a whole number");
  if (*number < min || *number > max) return out_of_range(std::to_string(min), std::to_string(max));
  return *number;
}

Result<std::uint64_t> read_bytes(const SettingsValue& value, std::uint64_t min, std::uint64_t max) {
  const auto* const text = std::get_if<std::string>(&value.data);
  if (text == nullptr) return wrong_kind(value, "a size in quotes, like \"100GB\"");
  const auto bytes = parse_byte_count(*text);
  if (!bytes) return with_context(settings_detail::quoted(*text), bytes.error());
  if (*bytes < min || *bytes > max)
    return out_of_range(format_bytes_exactly(min), format_bytes_exactly(max));
  return *bytes;
}

Result<std::chrono::milliseconds> read_duration(const SettingsValue& value,
                                                std::chrono::milliseconds min,
                                                std::chrono::milliseconds max) {
  const auto* const text = std::get_if<std::string>(&value.data);
  if (text == nullptr) return wrong_kind(value, "a duration in quotes, like \"30s\"");
  const auto duration = parse_duration(*text);
  if (!duration) return duration;
  if (*duration < min || *duration > max)
    return out_of_range(format_duration(min), format_duration(max));
  return *duration;
}

Result<std::string> read_text(const SettingsValue& value) {
  const auto* const text = std::get_if<std::string>(&value.data);
  if (text == nullptr) return wrong_kind(value, "a text in quotes");
  if (text->size() > kSettingsTextLimit)
    return fail(ErrorCode::InvalidArgument,
                "is longer than " + std::to_string(kSettingsTextLimit) + " bytes");
  for (const char c : *text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return fail(ErrorCode::InvalidArgument, "has a control character in it");
  }
  return *text;
}

Result<std::vector<std::string>> read_texts(const SettingsValue& value) {
  const auto* const list = std::get_if<std::vector<SettingsValue>>(&value.data);
  if (list == nullptr) return wrong_kind(value, "a list of texts, like [\"a\", \"b\"]");
  if (list->size() > kSettingsListLimit)
    return fail(ErrorCode::InvalidArgument,
                "has more than " + std::to_string(kSettingsListLimit) + " items");
  std::vector<std::string> texts;
  for (const SettingsValue& item : *list) {
    auto text = read_text(item);
    if (!text) return with_context("item " + std::to_string(texts.size() + 1), text.error());
    texts.push_back(std::move(*text));
  }
  return texts;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ", ";
    out += settings_detail::quoted(text);
  }
  return out + ']';
}

std::string format_bytes_exactly(std::uint64_t bytes) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 8> kUnits{
      {{"TiB", 1ULL << 40},
       {"TB", 1'000'000'000'000},
       {"GiB", 1ULL << 30},
       {"GB", 1'000'000'000},
       {"MiB", 1ULL << 20},
       {"MB", 1'000'000},
       {"KiB", 1ULL << 10},
       {"KB", 1000}}};
  for (const auto& [name, size] : kUnits) {
    if (bytes != 0 && bytes % size == 0) return std::to_string(bytes / size) + std::string(name);
  }
  return std::to_string(bytes);
}

std::string format_duration(std::chrono::milliseconds duration) {
  for (const DurationUnit& unit : kDurationUnits) {
    if (duration.count() != 0 && duration.count() % unit.milliseconds == 0)
      return std::to_string(duration.count() / unit.milliseconds) + std::string(unit.name);
  }
  return std::to_string(duration.count()) + "ms";
}

std::string between(std::string_view min, std::string_view max) {
  return std::string(min) + " to " + std::string(max);
}

std::string advice(std::string_view wrong, const std::vector<std::string>& names) {
  const std::string* nearest = nullptr;
  std::size_t best = std::max<std::size_t>(2, wrong.size() / 3) + 1;
  for (const std::string& name : names) {
    const std::size_t d = distance(wrong.substr(0, 64), name);
    if (d < best) {
      best = d;
      nearest = &name;
    }
  }
  if (nearest != nullptr) return "; did you mean " + settings_detail::quoted(*nearest) + "?";
  std::string out = "; there are ";
  for (std::size_t index = 0; index < names.size(); ++index) {
    if (index > 0) out += ", ";
    out += names[index];
  }
  return out;
}

}  // namespace settings_detail
}  // namespace larder::base
