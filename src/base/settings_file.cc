// The only file that knows toml++: from its tree to ours.
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
// The library asserts what a file may violate ("[" and a line end); its own checks then refuse it.
#define TOML_ASSERT(expression) static_cast<void>(0)
#include <toml++/toml.h>

#include "base/settings.h"

namespace larder::base {
namespace {

SettingsTable convert_table(const toml::table& table);

int line_of(const toml::source_region& region) {
  return static_cast<int>(region.begin.line);
}

SettingsValue convert(const toml::node& node) {
  SettingsValue out;
  out.line = line_of(node.source());
  if (const auto* text = node.as_string()) {
    out.data = text->get();
  } else if (const auto* number = node.as_integer()) {
    out.data = number->get();
  } else if (const auto* boolean = node.as_boolean()) {
    out.data = boolean->get();
  } else if (const auto* array = node.as_array()) {
    std::vector<SettingsValue> items;
    for (const toml::node& item : *array) items.push_back(convert(item));
    out.data = std::move(items);
  } else if (const auto* table = node.as_table()) {
    out.data = convert_table(*table);
  } else {
    out.data = SettingsValue::Other{node.is_floating_point() ? "a number with a fraction"
                                                             : "a date or time"};
  }
  return out;
}

SettingsTable convert_table(const toml::table& table) {
  SettingsTable out;
  for (const auto& [key, value] : table)
    out.members.push_back({std::string(key.str()), line_of(key.source()), convert(value)});
  return out;
}

}  // namespace

Result<SettingsTable> parse_settings(std::string_view text, const std::string& file_name) {
  if (text.size() > kSettingsFileLimit)
    return fail(ErrorCode::ResourceExhausted, file_name + ": larger than 1 MiB");
  const toml::parse_result result = toml::parse(text, std::string_view(file_name));
  if (!result) {
    const toml::parse_error& error = result.error();
    const auto& begin = error.source().begin;
    return fail(ErrorCode::InvalidArgument, file_name + ":" + std::to_string(begin.line) + ":" +
                                                std::to_string(begin.column) + ": " +
                                                std::string(error.description()));
  }
  return convert_table(result.table());
}

}  // namespace larder::base
