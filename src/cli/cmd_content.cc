#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/listing.h"

namespace larder::cli {
namespace {

struct ContentOptions : CommonOptions {
  std::string name;
  std::string version;
  std::vector<std::string> files;
};

int add(const ContentOptions& options) {
  const std::string what = "cannot add " + options.name + " " + options.version;
  auto control = Control::open(Role::Site, options.config);
  if (!control) return report(control.error(), what);
  const std::string package =
      "/api/v1/packages/" + encode_segment(options.name) + "/" + encode_segment(options.version);
  for (const std::string& file : options.files) {
    struct stat info{};
    if (stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode))
      return report({base::ErrorCode::NotFound, file + " is not a file that can be read"}, what);
  }
  for (const std::string& file : options.files) {
    const std::string name = std::filesystem::path(file).filename().string();
    const auto sent = control->send_file(package + "/files/" + encode_segment(name), file);
    if (!sent)
      return report(sent.error(), what + ": " + printable(file),
                    control_advice(Role::Site, sent.error(), options.config));
    if (!options.json) print_line("stored " + printable(name));
  }
  return send_change(Role::Site, options, "POST", package + "/publish", nlohmann::json(), what,
                     "published " + options.name + " " + options.version);
}

}  // namespace

void add_content_commands(Command& root) {
  Command& content = root.command("content", "Packages that the site gives to token holders.");
  {
    auto options = std::make_shared<ContentOptions>();
    Command& command = content.command(
        "add", "Store files as one version of a package and publish it to the nodes.");
    add_common_options(command, *options)
        .positional("NAME", options->name, "The package's name.")
        .positional("VERSION", options->version, "Its version.")
        .positionals("FILE", options->files, "Its files.")
        .example("larder content add tool 1.2 tool.msi readme.txt")
        .run([options] { return add(*options); });
  }
  {
    auto options = std::make_shared<CommonOptions>();
    Command& command = content.command("list", "Show the packages.");
    add_common_options(command, *options).example("larder content list").run([options] {
      return show_rows(Role::Site, *options, "/api/v1/packages", "packages",
                       {{"NAME", "name"},
                        {"VERSION", "version"},
                        {"FILES", "files"},
                        {"SIZE", "size"},
                        {"PUBLISHED", "published_at"}});
    });
  }
}

}  // namespace larder::cli
