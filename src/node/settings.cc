#include "node/settings.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/file.h"
#include "node/alert_settings.h"
#include "node/origin_pool_settings.h"
#include "node/origin_settings.h"
#include "node/profiles.h"
#include "node/setting_texts.h"
#include "node/signer_settings.h"

namespace larder::node {
namespace {

using base::Effect;
using base::ErrorCode;
using base::fail;
using base::Result;
using base::SettingsErrors;
using base::SettingsSection;

constexpr std::uint64_t kSmallestDrive = 64ULL << 20;
constexpr std::uint64_t kLargestDrive = 1ULL << 50;
constexpr std::uint64_t kDefaultDrive = 100'000'000'000;

std::string shown(const std::string& text) {
  return text;
}

// ---- The tables --------------------------------------------------------------------------------

SettingsSection<DriveSettings> make_drive_section() {
  SettingsSection<DriveSettings> s("[[node.drive]]",
                                   "A folder for cached bytes with its own size. Without any, the "
                                   "node keeps 100GB in `cache` below "
                                   "its state folder, but no more than half of what the file "
                                   "system has for it: what is free and what the cache holds.");
  s.text("path", &DriveSettings::path, {.text = "Folder; made when missing.", .required = true});
  s.bytes("size", &DriveSettings::size, kSmallestDrive, kLargestDrive,
          {.text = "What the cache may take of the drive; where the file system has less, it takes "
                   "what is free and leaves a 64th of the whole, at most 1GiB.",
           .required = true});
  return s;
}

const SettingsSection<DriveSettings>& drive_section() {
  static const SettingsSection<DriveSettings> section = make_drive_section();
  return section;
}

void add_identity(SettingsSection<NodeSettings>& s) {
  s.value("name", &NodeSettings::name, parse_name, shown,
          {.text = "The node's name, in Via towards origins and at the site.",
           .limits = "a to z, 0 to 9, - and _, at most 63",
           .required = true});
  s.text(
      "state_dir", &NodeSettings::state_dir,
      {.text = "Folder of keys, certificates and the site's snapshot; owned by the node's user."});
  s.text("control_socket", &NodeSettings::control_socket,
         {.text = "Unix socket of the administration commands.",
          .default_text = "<state_dir>/control.sock"});
  s.values("connection_names", &NodeSettings::connection_names, parse_connection_name, shown,
           {.text = "What clients call this node; certificates must cover them.",
            .limits = "DNS names or addresses",
            .effect = Effect::Live});
  s.texts(
      "client_trust", &NodeSettings::client_trust,
      {.text = "PEM files of the CAs that clients trust, against which an imported certificate is "
               "proved; empty: the system's store.",
       .effect = Effect::Live});
  s.boolean(
      "site_certificate_for_delivery", &NodeSettings::site_certificate_for_delivery,
      {.text = "Use the site-issued certificate on `https_listen` when there is no other one. Off, "
               "because clients then trust the site's root for cached public content too.",
       .effect = Effect::Live});
}

void add_listeners(SettingsSection<NodeSettings>& s) {
  const auto parse = base::parse_listen_address;
  const auto show = [](const base::ListenAddress& address) { return base::to_text(address); };
  s.values(
      "http_listen", &NodeSettings::http_listen, parse, show,
      {.text = "Delivery over HTTP.", .limits = "addresses with port", .effect = Effect::Live});
  s.values("https_listen", &NodeSettings::https_listen, parse, show,
           {.text = "Delivery over HTTPS; bound even without a certificate.",
            .limits = "addresses with port",
            .effect = Effect::Live});
  s.values("content_listen", &NodeSettings::content_listen, parse, show,
           {.text = "Site content for token holders; asks for client certificates.",
            .limits = "addresses with port",
            .effect = Effect::Live});
  s.optional_value("admin_listen", &NodeSettings::admin_listen, parse, show,
                   {.text = "/healthz, /readyz and /metrics, read-only; \"\" turns it off.",
                    .limits = "address with port",
                    .effect = Effect::Live});
}

void add_limits(SettingsSection<NodeSettings>& s) {
  using std::chrono::milliseconds;
  s.integer("threads", &NodeSettings::threads, 0, 256, {.text = "Event loops; 0: one per core."});
  s.integer("max_connections", &NodeSettings::max_connections, 16, 1'000'000,
            {.text = "Connections at once; for more, those end that have been idle longest, and "
                     "when none is idle the new ones are closed at once.",
             .effect = Effect::Live});
  s.integer("max_connections_per_client", &NodeSettings::max_connections_per_client, 0, 1'000'000,
            {.text = "Connections at once of one client, an IPv4 address or the /64 of an IPv6 "
                     "address; 0: no limit. High, because many devices may share an address.",
             .effect = Effect::Live});
  s.integer("max_connections_per_origin", &NodeSettings::max_connections_per_origin, 1, 512,
            {.text = "Connections at once from the node to one host of an origin, of 512 to all of "
                     "them. Fetches beyond that wait; a client whose download has not begun for "
                     "that reason after 5 s gets 503. One download uses up to 16.",
             .effect = Effect::Live});
  s.duration(
      "idle_timeout", &NodeSettings::idle_timeout, milliseconds(1000), std::chrono::hours(1),
      {.text = "How long a connection may wait for its next request.", .effect = Effect::Live});
  s.duration(
      "header_timeout", &NodeSettings::header_timeout, milliseconds(1000), std::chrono::minutes(5),
      {.text = "From a request's first byte to the end of its head.", .effect = Effect::Live});
  s.duration(
      "write_timeout", &NodeSettings::write_timeout, milliseconds(1000), std::chrono::minutes(30),
      {.text = "How long a client may be slower than `min_client_rate`.", .effect = Effect::Live});
  s.bytes(
      "min_client_rate", &NodeSettings::min_client_rate, 0, 1ULL << 30,
      {.text = "Bytes a second that a client must take of its answer, or send of its body, over "
               "each `write_timeout`; slower ones are cut.",
       .effect = Effect::Live});
  s.bytes("client_rate_limit", &NodeSettings::client_rate_limit, 0, 1ULL << 40,
          {.text = "Bytes a second to one client over all its connections; 0: no limit.",
           .limits = "0, or 64KB to 1TiB",
           .effect = Effect::Live});
  s.bytes("total_rate_limit", &NodeSettings::total_rate_limit, 0, 1ULL << 40,
          {.text = "Bytes a second to all clients, which take turns; 0: no limit.",
           .limits = "0, or 64KB to 1TiB",
           .effect = Effect::Live});
  s.values(
      "upstream_rate", &NodeSettings::upstream_rate, client::parse_rate_rule, client::to_text,
      {.text = "Bytes a second that may come from all origins; the first entry that names the "
               "moment counts, without one there is no limit: [\"mon-fri 08:00-18:00 2MB\", "
               "\"20MB\"]. Times are the machine's. As many downloads are admitted as get 64 "
               "KiB/s each; further ones are answered with 503 at once, so that clients ask the "
               "origin. 0: nothing is fetched.",
       .limits = "[days] [span] rate",
       .effect = Effect::Live});
  s.duration("stop_grace", &NodeSettings::stop_grace, milliseconds(0), std::chrono::hours(1),
             {.text = "How long running answers may go on when the node stops. The service "
                      "manager's own limit must be longer.",
              .effect = Effect::Live});
  s.value("congestion_control", &NodeSettings::congestion_control, parse_congestion_control, shown,
          {.text = "TCP congestion control of client connections; empty: the system's.",
           .limits = "one that the kernel offers",
           .effect = Effect::Live});
  s.bytes("hot_memory", &NodeSettings::hot_memory, 0, 1ULL << 40,
          {.text = "Memory for small objects kept ready to send."});
  s.bytes(
      "scrub_rate", &NodeSettings::scrub_rate, 0, 1ULL << 40,
      {.text = "Bytes a second that the scrub reads in the background, once a day at most, to find "
               "stored bytes that have changed; 0: it does not run by itself."});
}

void add_logs(SettingsSection<NodeSettings>& s) {
  s.text("access_log", &NodeSettings::access_log,
         {.text = "File with a line per request; \"off\": none.",
          .default_text = "<state_dir>/log/access.log",
          .effect = Effect::Live});
  s.boolean("access_log_json", &NodeSettings::access_log_json,
            {.text = "JSON lines in the access log, with the range, the user agent and the bytes "
                     "by source.",
             .effect = Effect::Live});
  s.choice<base::LogLevel>(
      "log_level", &NodeSettings::log_level,
      {{"debug", base::LogLevel::Debug},
       {"info", base::LogLevel::Info},
       {"warning", base::LogLevel::Warning},
       {"error", base::LogLevel::Error}},
      {.text = "Least level of the event log on standard error.", .effect = Effect::Live});
  s.boolean("log_json", &NodeSettings::log_json,
            {.text = "Event log as JSON lines.", .effect = Effect::Live});
}

SettingsSection<NodeSettings> make_node_section() {
  SettingsSection<NodeSettings> s("[node]", "A cache node and distribution point.");
  add_identity(s);
  add_listeners(s);
  std::string names;
  for (const Profile& profile : shipped_profiles())
    names += (names.empty() ? "" : "; ") + profile.name + ": " + profile.text;
  s.values("profiles", &NodeSettings::profiles, parse_name, shown,
           {.text = "Sets of origins. Shipped are " + names + ".",
            .limits = "names of profiles",
            .effect = Effect::Live});
  s.optional_value(
      "proxy", &NodeSettings::proxy, parse_origin_url,
      [](const OriginUrl& url) { return to_text(url); },
      {.text = "HTTP proxy on the way to origins, ACME servers, the places that say whether a "
               "certificate is revoked, and the receiver of alerts. It resolves their names and so "
               "judges where they lead; its own address is not checked.",
       .limits = "http://host[:port] or https://host[:port]",
       .effect = Effect::Live});
  s.text("proxy_credentials", &NodeSettings::proxy_credentials,
         {.text = "File with the proxy's user:password in one line, readable by the node's user "
                  "alone. A reload reads it anew, also where its name stays.",
          .effect = Effect::Live});
  s.values("no_proxy", &NodeSettings::no_proxy, parse_proxy_exception,
           [](const ProxyException& exception) { return to_text(exception); },
           {.text = "What of these is asked directly. Ranges are compared with "
                    "addresses in hosts "
                    "and url, not with what names resolve to.",
            .limits = "hosts, \"*.suffix\", CIDR",
            .effect = Effect::Live});
  s.values("request_allow_addresses", &NodeSettings::request_allow_addresses,
           base::parse_address_range,
           [](const base::AddressRange& range) { return base::to_text(range); },
           {.text = "Addresses that the node's own requests may reach although they are neither "
                    "public nor private (RFC 1918, fc00::/7), or are this machine's: where its "
                    "certificates say that revocation is published, ACME servers, the receiver of "
                    "alerts. An address in `alert_webhook` or `directory` need not be here.",
            .limits = "CIDR",
            .effect = Effect::Live});
  s.text("origin_ca_file", &NodeSettings::origin_ca_file,
         {.text = "PEM roots that origins are verified with beside the system's store: those of a "
                  "proxy that inspects TLS.",
          .effect = Effect::Live});
  s.text("profile_dir", &NodeSettings::profile_dir,
         {.text = "Folder of *.toml files that replace shipped profiles of the same name and add "
                  "others; one wrong file refuses them all.",
          .effect = Effect::Live});
  add_limits(s);
  add_logs(s);
  add_alert_settings(s);
  s.tables("drive", &NodeSettings::drives, drive_section());
  s.tables("signer", &NodeSettings::signers, signer_section(), Effect::Live);
  return s;
}

const SettingsSection<NodeSettings>& node_section() {
  static const SettingsSection<NodeSettings> section = make_node_section();
  return section;
}

// ---- What concerns several tables --------------------------------------------------------------

void resolve(std::string& path, const std::filesystem::path& folder) {
  if (path.empty()) return;
  path = (folder / path).lexically_normal().string();
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
}

void complete_paths(NodeSettings& settings, const std::string& file_name) {
  std::error_code ignored;
  const std::filesystem::path folder =
      std::filesystem::absolute(std::filesystem::path(file_name), ignored).parent_path();
  resolve(settings.state_dir, folder);
  if (settings.control_socket.empty())
    settings.control_socket = settings.state_dir + "/control.sock";
  if (settings.access_log.empty()) settings.access_log = settings.state_dir + "/log/access.log";
  if (settings.drives.empty())
    settings.drives.push_back(
        {.path = settings.state_dir + "/cache", .size = kDefaultDrive, .leaves_half = true});
  resolve(settings.control_socket, folder);
  if (settings.access_log != "off") resolve(settings.access_log, folder);
  for (std::string& file : settings.client_trust) resolve(file, folder);
  resolve(settings.profile_dir, folder);
  resolve(settings.proxy_credentials, folder);
  resolve(settings.origin_ca_file, folder);
  for (SignerSettings& signer : settings.signers) {
    resolve(signer.external_key_file, folder);
    resolve(signer.ca_file, folder);
  }
  resolve(settings.alert_webhook_trust, folder);
  resolve(settings.alert_webhook_secret, folder);
  for (DriveSettings& drive : settings.drives) resolve(drive.path, folder);
  for (OriginSettings& origin : settings.origins) resolve(origin.ca_file, folder);
}

bool is_inside(const std::string& path, const std::string& folder) {
  return path.starts_with(folder == "/" ? folder : folder + "/");
}

// `lines` are those of the drives' tables; a drive that nobody named has none.
void check_drives(const NodeSettings& settings, const std::vector<int>& lines,
                  SettingsErrors& errors) {
  for (std::size_t index = 0; index < lines.size(); ++index) {
    const std::string& path = settings.drives[index].path;
    const auto refuse = [&](const std::string& why) {
      errors.add(lines[index], "[[node.drive]] path: " + why);
    };
    if (path.empty()) refuse("empty; name a folder");
    for (std::size_t before = 0; before < index; ++before) {
      const std::string& other = settings.drives[before].path;
      if (path.empty() || other.empty()) continue;
      if (path == other) {
        refuse(path + " is given twice");
      } else if (is_inside(path, other) || is_inside(other, path)) {
        refuse(path + " and the drive " + other +
               " are inside one another; each drive needs a folder of its own");
      }
    }
  }
}

void check_proxy(const NodeSettings& settings, int line, SettingsErrors& errors) {
  if (!settings.proxy && !settings.proxy_credentials.empty())
    errors.add(line, "[node] proxy_credentials: there is no proxy");
  if (!settings.proxy && !settings.no_proxy.empty())
    errors.add(line, "[node] no_proxy: there is no proxy");
}

void check_listeners(const NodeSettings& settings, int line, SettingsErrors& errors) {
  std::vector<std::pair<std::string, std::string>> taken;
  const auto take = [&](const char* setting, const base::ListenAddress& address) {
    if (address.port == 0) return;
    const std::string text = base::to_text(address);
    for (const auto& [other, owner] : taken) {
      if (other == text)
        errors.add(line,
                   std::string("[node] ").append(setting) + ": " + text + " is taken by " + owner);
    }
    taken.emplace_back(text, setting);
  };
  for (const auto& address : settings.http_listen) take("http_listen", address);
  for (const auto& address : settings.https_listen) take("https_listen", address);
  for (const auto& address : settings.content_listen) take("content_listen", address);
  if (settings.admin_listen) take("admin_listen", *settings.admin_listen);
}

// Delivery Optimization clients leave a source that gives them less than 4000 bytes a second, for
// every origin: a limit that could bring one of them there is a mistake.
void check_rates(const NodeSettings& settings, int line, SettingsErrors& errors) {
  constexpr std::uint64_t kLowest = 64'000;
  const auto check = [&](const char* name, std::uint64_t rate) {
    if (rate > 0 && rate < kLowest)
      errors.add(line, std::string("[node] ") + name + ": below 64KB a second; 0 is no limit");
  };
  check("client_rate_limit", settings.client_rate_limit);
  check("total_rate_limit", settings.total_rate_limit);
}

void add_profiles(NodeSettings& settings, int line, SettingsErrors& errors) {
  std::vector<Profile> own;
  if (!settings.profile_dir.empty()) {
    auto loaded = load_profiles(settings.profile_dir);
    if (!loaded) {
      errors.add(line, "[node] profile_dir: " + loaded.error().message);
      return;
    }
    own = std::move(*loaded);
  }
  const std::vector<Profile>& all = settings.profile_dir.empty() ? shipped_profiles() : own;
  for (const std::string& name : settings.profiles) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Profile& profile) { return profile.name == name; });
    if (found != all.end()) {
      settings.origins.insert(settings.origins.end(), found->origins.begin(), found->origins.end());
      continue;
    }
    std::vector<std::string> names;
    for (const Profile& profile : all) names.push_back(profile.name);
    errors.add(line, "[node] profiles: \"" + name + "\" is no profile" +
                         base::settings_detail::advice(name, names));
  }
  settings.reserved_hosts = reserved_hosts(all, settings.origins);
}

}  // namespace

bool OriginSettings::allows_method(std::string_view method) const {
  if (method == "CONNECT" || method == "TRACE") return false;
  return std::any_of(methods.begin(), methods.end(), [&](const std::string& allowed) {
    return allowed == "*" || allowed == method;
  });
}

Result<NodeSettings> parse_node_settings(std::string_view text, const std::string& file_name) {
  const auto file = base::parse_settings(text, file_name);
  if (!file) return std::unexpected(file.error());
  SettingsErrors errors(file_name);
  base::check_top_level(*file, {"node", "origin", "site"}, errors);

  NodeSettings settings;
  int node_line = 0;
  std::vector<int> drive_lines;
  SettingsErrors told(file_name);  // what the reading below says too
  const auto nodes = base::find_tables(*file, "node", false, errors);
  if (nodes.empty() && errors.empty())
    return fail(ErrorCode::InvalidArgument,
                file_name + ": there is no table [node]; a node needs one with at least a name");
  for (const base::SettingsTableAt& found : nodes) {
    node_line = found.line;
    node_section().read(*found.table, found.line, settings, errors);
    for (const auto& drive : base::find_tables(*found.table, "drive", true, told)) {
      drive_lines.push_back(drive.line);
    }
  }
  std::vector<OriginAt> origins = read_origins(*file, errors);
  check_origins(origins, errors);
  for (OriginAt& found : origins) settings.origins.push_back(std::move(found.origin));
  complete_paths(settings, file_name);
  check_drives(settings, drive_lines, errors);
  check_listeners(settings, node_line, errors);
  check_proxy(settings, node_line, errors);
  check_signers(settings.signers, node_line, errors);
  add_profiles(settings, node_line, errors);
  check_rates(settings, node_line, errors);
  if (base::Status status = errors.status(); !status) return std::unexpected(status.error());
  return settings;
}

Result<NodeSettings> load_node_settings(const std::string& path) {
  const auto text = base::read_file(path, base::kSettingsFileLimit);
  if (!text) return std::unexpected(text.error());
  return parse_node_settings(*text, path);
}

std::vector<base::SettingChange> changes(const NodeSettings& before, const NodeSettings& after) {
  std::vector<base::SettingChange> found = node_section().changes(before, after);
  for (base::SettingChange& change : found) change.name = "[node] " + change.name;
  const auto by_name = [](const NodeSettings& settings) {
    std::map<std::string, const OriginSettings*> origins;
    for (const OriginSettings& origin : settings.origins) {
      origins.emplace((origin.is_profile ? "profile " : "[[origin]] ") + origin.name, &origin);
    }
    return origins;
  };
  const auto old_origins = by_name(before);
  const auto new_origins = by_name(after);
  for (const auto& [name, origin] : old_origins) {
    const auto kept = new_origins.find(name);
    if (kept == new_origins.end() || !origin_section().changes(*origin, *kept->second).empty())
      found.push_back({name, base::Effect::Live});
  }
  for (const auto& [name, origin] : new_origins) {
    if (!old_origins.contains(name)) found.push_back({name, base::Effect::Live});
  }
  return found;
}

std::vector<base::SettingsSectionFacts> describe_node_settings() {
  return {node_section().facts(), drive_section().facts(), signer_section().facts(),
          origin_section().facts()};
}

}  // namespace larder::node
