#include <memory>

#include "agent/get.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/device_folder.h"
#include "cli/get_progress.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

constexpr std::uint64_t kTrustLimit = 4 << 20;  // bytes of a CA file

struct GetOptions {
  std::string what;
  std::string output;
  std::string folder;
  std::string cache_host;
  std::string sha256;
  std::string trust_file;
  bool json = false;
};

std::string advice(const base::Error& error) {
  switch (error.code) {
    case base::ErrorCode::PermissionDenied:
      return "ask the administrator whether this device is blocked";
    case base::ErrorCode::Unavailable:
    case base::ErrorCode::DeadlineExceeded:
      return "run the same command again; it goes on where it stopped";
    default:
      return "";
  }
}

base::Result<agent::GetResult> get(const GetOptions& options, agent::ProgressListener& listener) {
  const base::SystemClock clock;
  if (options.what.starts_with("http://") || options.what.starts_with("https://")) {
    agent::UrlRequest request;
    request.url = options.what;
    request.cache_host = options.cache_host;
    request.sha256 = options.sha256;
    request.output = options.output;
    if (!options.trust_file.empty()) {
      auto trust = base::read_file(options.trust_file, kTrustLimit);
      if (!trust) return std::unexpected(trust.error());
      request.trust = std::move(*trust);
    }
    return agent::get_url(request, listener, clock);
  }
  auto request = agent::parse_package_name(options.what);
  if (!request) return std::unexpected(request.error());
  request->state_folder = device_folder(options.folder);
  request->output = options.output;
  return agent::get_package(*request, listener, clock);
}

int run(const GetOptions& options) {
  const bool is_url = options.what.find("://") != std::string::npos;
  if (!is_url &&
      (!options.cache_host.empty() || !options.sha256.empty() || !options.trust_file.empty())) {
    report({base::ErrorCode::InvalidArgument,
            "--cache-host, --sha256 and --trust are for URLs; a package has its own"},
           "");
    return kWrongUsage;
  }
  const auto listener = make_progress_listener(options.json);
  const auto result = get(options, *listener);
  if (!result) {
    listener->fail(result.error());
    return report(result.error(), "cannot get " + printable(options.what), advice(result.error()));
  }
  listener->finish(*result);
  return kOk;
}

}  // namespace

void add_get_command(Command& root) {
  auto options = std::make_shared<GetOptions>();
  root.command("get",
               "Download a package of the site (NAME or NAME@VERSION) or a URL: verified, resumed, "
               "from the nearest source.")
      .positional("WHAT", options->what, "Package or URL.")
      .option("--output", options->output, "File or folder; default: here, under its own name.")
      .option("--dir", options->folder, kDeviceFolderText)
      .option("--cache-host", options->cache_host, "Cache node for a URL: host or host:port.")
      .option("--sha256", options->sha256, "Expected hash of a URL's file, hexadecimal.")
      .option("--trust", options->trust_file, "PEM roots for the cache host of an https URL.")
      .flag("--json", options->json, "Print events as JSON lines.")
      .example("larder get tool@1.2 --output /tmp")
      .example("larder get http://archive.example.org/a.deb --cache-host node1.example.org:8080")
      .run([options] { return run(*options); });
}

}  // namespace larder::cli
