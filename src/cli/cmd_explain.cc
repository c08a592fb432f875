#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/control.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

struct ExplainOptions : CommonOptions {
  std::string url;
  std::string method = "GET";
  std::vector<std::string> fields;
};

int explain(const ExplainOptions& options) {
  const char* const what = "cannot explain";
  nlohmann::json fields = nlohmann::json::array();
  for (const std::string& field : options.fields) {
    const std::size_t colon = field.find(':');
    if (colon == std::string::npos) {
      return report({base::ErrorCode::InvalidArgument, "\"" + field + "\" is no field"}, what,
                    "write --header \"Name: value\"");
    }
    const std::size_t start = std::min(field.find_first_not_of(' ', colon + 1), field.size());
    fields.push_back({field.substr(0, colon), field.substr(start)});
  }
  auto control = Control::open(Role::Node, options.config);
  if (!control) return report(control.error(), what);
  const auto answer =
      control->send("POST", "/api/v1/explain",
                    {{"url", options.url}, {"method", options.method}, {"fields", fields}});
  if (!answer) {
    return report(answer.error(), what, control_advice(Role::Node, answer.error(), options.config));
  }
  if (options.json) {
    print_json(*answer);
    return kOk;
  }
  for (const nlohmann::json& step : answer->value("steps", nlohmann::json::array())) {
    print_line(printable(step.value("step", "")) + ": " + printable(step.value("text", "")));
  }
  return kOk;
}

}  // namespace

void add_explain_command(Command& root) {
  auto options = std::make_shared<ExplainOptions>();
  add_common_options(
      root.command("explain", "Say what the running node would do with a request, and why.")
          .positional("URL", options->url,
                      "Absolute; https: as if the client came over TLS. Name the origin's host, or "
                      "the node's with cacheHostOrigin."),
      *options)
      .option("--method", options->method, "Method; default: GET.")
      .lines("--header", options->fields, "Field of the request, \"Name: value\".")
      .example("larder explain http://packages.test/hello.deb")
      .example(
          "larder explain http://packages.test/hello.deb --header \"Range: bytes=0-99\" --json")
      .run([options] { return explain(*options); });
}

}  // namespace larder::cli
