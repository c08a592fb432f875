#include "cli/listing.h"

#include <nlohmann/json.hpp>

namespace larder::cli {
namespace {

base::Result<nlohmann::json> fetch(Role role, const CommonOptions& options,
                                   const std::string& path) {
  auto control = Control::open(role, options.config);
  if (!control) return std::unexpected(control.error());
  return control->get(path);
}

int report_control(Role role, const CommonOptions& options, const base::Error& error,
                   const std::string& what) {
  return report(error, what, control_advice(role, error, options.config));
}

// All simple members, those of inner objects as "outer.inner"; tables have their own commands.
void print_members(const nlohmann::json& object, const std::string& prefix) {
  if (!object.is_object()) return;
  for (const auto& [member, value] : object.items()) {
    if (value.is_object()) {
      print_members(value, prefix + member + ".");
    } else if (!value.is_array() || value.empty() || !value.front().is_structured()) {
      print_line(printable(prefix + member) + ": " + format_value(value));
    }
  }
}

}  // namespace

int show_rows(Role role, const CommonOptions& options, const std::string& path,
              const std::string& things, const std::vector<Column>& columns) {
  const auto answer = fetch(role, options, path);
  if (!answer) return report_control(role, options, answer.error(), "cannot list " + things);
  if (options.json) {
    print_json(*answer);
    return kOk;
  }
  const auto found = answer->is_object() ? answer->find(things) : answer->end();
  const nlohmann::json& rows = answer->is_object() && found != answer->end() ? *found : *answer;
  if (!rows.is_array())
    return report({base::ErrorCode::Internal, "the answer has no list of " + things}, "");
  print_table(columns, rows, things);
  return kOk;
}

int show_facts(Role role, const CommonOptions& options, const std::string& path,
               const std::vector<Column>& columns) {
  const auto answer = fetch(role, options, path);
  if (!answer) return report_control(role, options, answer.error(), "cannot show the status");
  if (options.json) {
    print_json(*answer);
    return kOk;
  }
  if (columns.empty()) {
    print_members(*answer, "");
    return kOk;
  }
  print_facts(columns, *answer);
  return kOk;
}

int send_change(Role role, const CommonOptions& options, const std::string& method,
                const std::string& path, const nlohmann::json& body, const std::string& what,
                const std::string& done) {
  auto control = Control::open(role, options.config);
  if (!control) return report(control.error(), what);
  const auto answer = control->send(method, path, body);
  if (!answer) return report_control(role, options, answer.error(), what);
  if (options.json) {
    print_json(answer->is_null() ? nlohmann::json::object() : *answer);
  } else {
    print_line(done);
  }
  return kOk;
}

}  // namespace larder::cli
