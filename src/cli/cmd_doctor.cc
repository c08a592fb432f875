#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/doctor.h"
#include "base/address.h"
#include "cli/commands.h"
#include "cli/common_options.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/revocation_requests.h"
#include "client/http_client.h"
#include "node/settings.h"

// POSIX leaves its declaration to the program.
extern char** environ;

namespace larder::cli {
namespace {

using base::Result;
using nlohmann::json;

constexpr std::size_t kNamesLimit = 8;

struct DoctorOptions : CommonOptions {
  std::string url;
  std::string name;
  std::string address;
  std::vector<std::string> trust;
  std::string object;
};

// Only what a proxy is set by.
std::map<std::string, std::string> proxy_environment() {
  std::map<std::string, std::string> found;
  for (char** next = environ; *next != nullptr; ++next) {
    const std::string_view entry(*next);
    const auto sign = entry.find('=');
    if (sign == std::string_view::npos) continue;
    std::string key(entry.substr(0, sign));
    std::string lower = key;
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    if (lower.ends_with("_proxy")) found.emplace(std::move(key), entry.substr(sign + 1));
  }
  return found;
}

// What the running node says that it shows; nothing when it does not answer.
std::vector<std::string> shown_certificates(const node::NodeSettings& settings) {
  Control control(Role::Node, settings.control_socket);
  const auto list = control.get("/api/v1/certificates");
  std::vector<std::string> shown;
  if (!list || !list->is_array()) return shown;
  for (const json& one : *list) {
    if (one.value("state", "") == "active") shown.push_back(one.value("sha256", ""));
  }
  return shown;
}

std::string url_of(const char* scheme, const std::string& name, std::uint16_t port) {
  const bool ipv6 = name.find(':') != std::string::npos;
  return std::string(scheme) + "://" + (ipv6 ? "[" + name + "]" : name) + ":" +
         std::to_string(port);
}

// Every way to the node of this machine's settings.
Result<std::vector<agent::Examination>> own_ways(const DoctorOptions& options,
                                                 const node::NodeSettings& settings) {
  if (settings.connection_names.empty()) {
    return base::fail(base::ErrorCode::FailedPrecondition,
                      "the settings have no connection_names: what do clients call the node?");
  }
  agent::Examination base;
  base.address = options.address;
  base.trust = options.trust.empty() ? settings.client_trust : options.trust;
  base.object = options.object;
  base.expected = shown_certificates(settings);
  std::vector<agent::Examination> ways;
  const std::size_t names = std::min(settings.connection_names.size(), kNamesLimit);
  for (std::size_t i = 0; i < names; ++i) {
    for (const auto& [scheme, listen] :
         {std::pair{"http", &settings.http_listen}, std::pair{"https", &settings.https_listen}}) {
      if (listen->empty()) continue;
      agent::Examination way = base;
      way.url = url_of(scheme, settings.connection_names[i], listen->front().port);
      ways.push_back(std::move(way));
    }
  }
  return ways;
}

json facts_of(const agent::Diagnosis& diagnosis) {
  json checks = json::array();
  for (const agent::Finding& finding : diagnosis.findings) {
    checks.push_back({{"check", finding.check},
                      {"verdict", agent::name(finding.verdict)},
                      {"text", finding.text},
                      {"fix", finding.fix}});
  }
  return {{"target", diagnosis.target}, {"ok", diagnosis.is_well()}, {"checks", checks}};
}

void print(const agent::Diagnosis& diagnosis) {
  print_line(printable(diagnosis.target));
  for (const agent::Finding& finding : diagnosis.findings) {
    std::string verdict(agent::name(finding.verdict));
    verdict.resize(8, ' ');
    std::string check = finding.check;
    check.resize(11, ' ');
    print_line("  " + verdict + check + printable(finding.text));
    if (!finding.fix.empty()) print_line("    fix: " + printable(finding.fix));
  }
}

int doctor(const DoctorOptions& options) {
  const char* const what = "cannot examine";
  std::vector<agent::Examination> ways;
  // A URL is looked at without a node's settings, unless they are named.
  Result<node::NodeSettings> settings = node::NodeSettings();
  const bool has_settings = options.url.empty() || !options.config.empty();
  if (has_settings) {
    settings = node::load_node_settings(config_path(options.config));
    if (!settings) {
      return report(settings.error(), what, "name a node's URL, or its settings with --config");
    }
  }
  if (options.url.empty()) {
    auto own = own_ways(options, *settings);
    if (!own) return report(own.error(), what, "name a node's URL, or its settings with --config");
    ways = std::move(*own);
  } else {
    agent::Examination way;
    way.url = options.url;
    way.name = options.name;
    way.address = options.address;
    way.trust = options.trust;
    way.object = options.object;
    ways.push_back(std::move(way));
  }
  const base::SystemClock clock;
  client::HttpClient client;
  const std::map<std::string, std::string> environment = proxy_environment();
  const client::HttpExchange ask = revocation_requests(
      *settings, has_settings ? std::map<std::string, std::string>() : environment, clock,
      [&client](const client::HttpRequest& request) { return client.perform(request); });
  bool is_well = true;
  json targets = json::array();
  for (agent::Examination& way : ways) {
    way.environment = environment;
    way.ask = ask;
    const auto diagnosis = agent::examine(way, clock);
    if (!diagnosis) {
      report(diagnosis.error(), what + (" " + printable(way.url)));
      return diagnosis.error().code == base::ErrorCode::InvalidArgument ? kWrongUsage : kFailed;
    }
    is_well = is_well && diagnosis->is_well();
    if (options.json) {
      targets.push_back(facts_of(*diagnosis));
    } else {
      print(*diagnosis);
    }
  }
  if (options.json) print_json({{"ok", is_well}, {"targets", targets}});
  return is_well ? kOk : kFailed;
}

}  // namespace

void add_doctor_command(Command& root) {
  auto options = std::make_shared<DoctorOptions>();
  add_common_options(
      root.command("doctor",
                   "Behave as a client towards a node, and say what is wrong and what mends it. "
                   "Exit code 1 when something is wrong. Responders and revocation lists that the "
                   "certificates of a trusted chain name are asked as the node of the settings "
                   "would, where --config names them or no URL is given.")
          .positional(
              "URL", options->url,
              "The node as clients call it; with a path, that is read. Without a URL: every "
              "connection name of the settings, HTTP and HTTPS, compared with what the "
              "running node says that it shows.",
              Need::Optional),
      *options)
      .option("--name", options->name, "Name that the certificate must cover; default: the URL's.")
      .option("--address", options->address, "Connect to this address instead of asking the DNS.")
      .options("--trust", options->trust,
               "PEM files of the CAs that clients trust; default: the system's store, on the node "
               "its client_trust.")
      .option(
          "--object", options->object,
          "URL of an object at its origin, read through the node: ranges, a second read, speed.")
      .example("larder doctor https://node1.example.org")
      .example(
          "larder doctor https://node1.example.org --trust ca.pem --object "
          "http://packages.example.org/big.bin --json")
      .run([options] { return doctor(*options); });
}

}  // namespace larder::cli
