#include "cli/output.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace larder::cli {
namespace {

constexpr std::size_t kWidestCell = 100;
constexpr std::string_view kCut = "...";

std::string cell_of(const nlohmann::json& row, const std::string& member) {
  if (!row.is_object()) return "-";
  const auto found = row.find(member);
  return found == row.end() ? "-" : format_value(*found);
}

void write(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
}

}  // namespace

std::string format_value(const nlohmann::json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) {
    const std::string text = printable(value.get_ref<const std::string&>());
    return text.empty() ? "-" : text;
  }
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_array()) {
    std::string out;
    for (const auto& item : value) out += (out.empty() ? "" : ",") + format_value(item);
    return out.empty() ? "-" : out;
  }
  return printable(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  // C1 controls in UTF-8 (U+0080 to U+009F).
  for (std::size_t at = 0; at + 1 < out.size(); ++at) {
    const auto next = static_cast<unsigned char>(out[at + 1]);
    if (static_cast<unsigned char>(out[at]) == 0xc2 && next >= 0x80 && next < 0xa0)
      out[at] = out[at + 1] = '?';
  }
  return out;
}

int report(const base::Error& error, std::string_view what, std::string_view next) {
  // Several lines are mistakes in a file, each with its place in front.
  const bool is_list = what.empty() && error.message.find('\n') != std::string::npos;
  std::string text = is_list ? "" : "larder: ";
  if (!what.empty()) text += std::string(what) + ": ";
  text += error.message + "\n";
  if (!next.empty()) text += "Next: " + std::string(next) + "\n";
  write(stderr, text);
  return kFailed;
}

std::string format_table(const std::vector<Column>& columns, const nlohmann::json& rows) {
  std::vector<std::vector<std::string>> lines(1);
  for (const Column& column : columns) lines[0].push_back(column.heading);
  for (const auto& row : rows) {
    auto& line = lines.emplace_back();
    for (const Column& column : columns) {
      std::string cell = cell_of(row, column.member);
      if (!column.is_whole && cell.size() > kWidestCell) {
        cell.resize(kWidestCell - kCut.size());
        cell += kCut;
      }
      line.push_back(std::move(cell));
    }
  }
  std::string out;
  for (const auto& line : lines) {
    std::string shown;
    for (std::size_t column = 0; column < columns.size(); ++column) {
      std::size_t width = 0;
      for (const auto& other : lines) width = std::max(width, other[column].size());
      shown += line[column];
      if (column + 1 < columns.size()) shown.append(width - line[column].size() + 2, ' ');
    }
    out += shown + "\n";
  }
  return out;
}

void print_table(const std::vector<Column>& columns, const nlohmann::json& rows,
                 std::string_view things) {
  if (rows.empty()) {
    print_line("no " + std::string(things) + " yet");
  } else {
    write(stdout, format_table(columns, rows));
  }
}

void print_facts(const std::vector<Column>& columns, const nlohmann::json& object) {
  std::size_t width = 0;
  for (const Column& column : columns) width = std::max(width, column.heading.size());
  for (const Column& column : columns) {
    const std::string value = cell_of(object, column.member);
    print_line(column.heading + ":" + std::string(width - column.heading.size() + 1, ' ') + value);
  }
}

void print_json(const nlohmann::json& value) {
  print_line(value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_line(std::string_view line) {
  write(stdout, line);
  write(stdout, "\n");
  std::fflush(stdout);
}

}  // namespace larder::cli
