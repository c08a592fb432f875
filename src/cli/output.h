// What commands print: facts to standard output (tables for people, JSON for programs), mistakes to
// standard error. Names that came from devices or files are shown without control characters, so
// that nobody can write escape sequences to an administrator's terminal.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/command.h"

namespace larder::cli {

// "larder: cannot add x: ..." and, when not empty, what to do next. Returns kFailed.
int report(const base::Error& error, std::string_view what, std::string_view next = "");

// One value as a table shows it: lists joined by a comma, "-" for nothing.
std::string format_value(const nlohmann::json& value);

// One column of a table: its heading and the member of each row that fills it.
struct Column {
  std::string heading;
  std::string member;
  bool is_whole = false;  // never cut, since people use it for something else
};

// Rows are objects; absent members are shown as "-", lists joined by a comma, what is long cut with
// "...".
std::string format_table(const std::vector<Column>& columns, const nlohmann::json& rows);
// "no <things> yet" when there are no rows.
void print_table(const std::vector<Column>& columns, const nlohmann::json& rows,
                 std::string_view things);
// "heading: value" lines for one object.
void print_facts(const std::vector<Column>& columns, const nlohmann::json& object);
void print_json(const nlohmann::json& value);
void print_line(std::string_view line);

// Control characters replaced by "?".
std::string printable(std::string_view text);

}  // namespace larder::cli
