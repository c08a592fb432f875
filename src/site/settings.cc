#include "site/settings.h"

#include <algorithm>
#include <filesystem>

#include "base/address.h"
#include "base/encoding.h"
#include "base/file.h"

namespace larder::site {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::SettingsErrors;
using base::SettingsSection;

std::string shown(const std::string& text) {
  return text;
}

Result<std::string> parse_listener(std::string_view text) {
  const auto address = base::parse_listen_address(text);
  if (!address) return std::unexpected(address.error());
  return base::to_text(*address);
}

Result<std::string> parse_range(std::string_view text) {
  const auto range = base::parse_address_range(text);
  if (!range) return std::unexpected(range.error());
  return base::to_text(*range);
}

Result<std::string> parse_suffix(std::string_view text) {
  std::string suffix = base::to_lower(text);
  const bool characters = std::all_of(suffix.begin(), suffix.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  const bool labels = !suffix.empty() && suffix.size() <= 253 && suffix.front() != '.' &&
                      suffix.back() != '.' && suffix.find("..") == std::string::npos;
  if (characters && labels && !base::is_address(suffix)) return suffix;
  return fail(ErrorCode::InvalidArgument,
              "is no DNS suffix: write \"larder.example.org\", without a dot in front");
}

Result<std::string> parse_public_url(std::string_view text) {
  std::string url(text);
  if (url.ends_with('/')) url.pop_back();
  const std::string_view rest = std::string_view(url).substr(std::min<std::size_t>(8, url.size()));
  const bool plain = rest.find_first_of("/?#@ \"\\") == std::string_view::npos;
  if (url.starts_with("https://") && !rest.empty() && rest.front() != ':' && plain) return url;
  return fail(ErrorCode::InvalidArgument,
              "must be https://, a host and perhaps a port, with nothing behind: "
              "\"https://site.larder.example.org:8443\"");
}

SettingsSection<SiteSettings> make_section() {
  SettingsSection<SiteSettings> s(
      "[site]",
      "A site server: issuing authority, management point, administration service. At most one of "
      "`dns_suffixes` and `address_ranges` may be empty.");
  s.text("name", &SiteSettings::name,
         {.text = "The organisation, in the names of its authorities."});
  s.text("state_dir", &SiteSettings::state_dir,
         {.text = "Folder of keys, database and content; owned by the site's user."});
  s.text("control_socket", &SiteSettings::control_socket,
         {.text = "Unix socket of the administration commands.",
          .default_text = "<state_dir>/control.sock"});
  s.value("public_url", &SiteSettings::public_url, parse_public_url, shown,
          {.text = "What devices and nodes call this site; the issuer of its tokens.",
           .limits = "https://host[:port]",
           .required = true});
  s.values("listen", &SiteSettings::listen, parse_listener, shown,
           {.text = "Devices and nodes, HTTPS.", .limits = "addresses with port"});
  s.values("admin_listen", &SiteSettings::admin_listen, parse_listener, shown,
           {.text = "Status page.", .limits = "loopback addresses with port"});
  s.values("pki_listen", &SiteSettings::pki_listen, parse_listener, shown,
           {.text = "Revocation list and root certificate, plain HTTP.",
            .limits = "addresses with port"});
  s.choice<std::string>("database", &SiteSettings::database, {{"sqlite", "sqlite"}},
                        {.text = "Where the site keeps its records."});
  s.values(
      "dns_suffixes", &SiteSettings::dns_suffixes, parse_suffix, shown,
      {.text = "DNS names that the root may vouch for: these and all below; none: no DNS name.",
       .limits = "without a dot in front"});
  s.values("address_ranges", &SiteSettings::address_ranges, parse_range, shown,
           {.text = "Addresses that the root may vouch for; none: no address.", .limits = "CIDR"});
  s.choice<std::string>(
      "mode", &SiteSettings::mode, {{"enhanced", "enhanced"}, {"https-only", "https-only"}},
      {.text = "Of a new site; later `larder site mode` counts. \"enhanced\": site "
               "systems without a PKI certificate get one from the site."});
  s.choice<base::LogLevel>("log_level", &SiteSettings::log_level,
                           {{"debug", base::LogLevel::Debug},
                            {"info", base::LogLevel::Info},
                            {"warning", base::LogLevel::Warning},
                            {"error", base::LogLevel::Error}},
                           {.text = "Least level of the event log on standard error."});
  s.boolean("log_json", &SiteSettings::log_json, {.text = "Event log as JSON lines."});
  s.check([](const SiteSettings& settings, int line, SettingsErrors& errors) {
    if (settings.dns_suffixes.empty() && settings.address_ranges.empty())
      errors.add(line,
                 "[site] dns_suffixes, address_ranges: both are empty, so the root could vouch for "
                 "nothing; give at least one");
    for (const std::string& listener : settings.admin_listen) {
      if (!listener.starts_with("127.") && !listener.starts_with("[::1]:"))
        errors.add(line, "[site] admin_listen: " + listener +
                             " is not a loopback address; use 127.0.0.1 or [::1]");
    }
    if (settings.listen.empty())
      errors.add(line, "[site] listen: empty; nobody could reach the site");
  });
  return s;
}

const SettingsSection<SiteSettings>& section() {
  static const SettingsSection<SiteSettings> only = make_section();
  return only;
}

}  // namespace

Result<SiteSettings> parse_site_settings(std::string_view text, const std::string& file_name) {
  const auto file = base::parse_settings(text, file_name);
  if (!file) return std::unexpected(file.error());
  SettingsErrors errors(file_name);
  base::check_top_level(*file, {"node", "origin", "site"}, errors);
  SiteSettings settings;
  const auto tables = base::find_tables(*file, "site", false, errors);
  if (tables.empty() && errors.empty())
    return fail(ErrorCode::InvalidArgument, file_name + ": there is no table [site]");
  for (const base::SettingsTableAt& found : tables)
    section().read(*found.table, found.line, settings, errors);
  if (base::Status status = errors.status(); !status) return std::unexpected(status.error());

  std::error_code ignored;
  const std::filesystem::path folder =
      std::filesystem::absolute(std::filesystem::path(file_name), ignored).parent_path();
  settings.state_dir = (folder / settings.state_dir).lexically_normal().string();
  if (settings.state_dir.size() > 1 && settings.state_dir.ends_with('/'))
    settings.state_dir.pop_back();
  if (settings.control_socket.empty())
    settings.control_socket = settings.state_dir + "/control.sock";
  settings.control_socket = (folder / settings.control_socket).lexically_normal().string();
  return settings;
}

Result<SiteSettings> load_site_settings(const std::string& path) {
  const auto text = base::read_file(path, base::kSettingsFileLimit);
  if (!text) return std::unexpected(text.error());
  return parse_site_settings(*text, path);
}

std::vector<base::SettingsSectionFacts> describe_site_settings() {
  return {section().facts()};
}

}  // namespace larder::site
