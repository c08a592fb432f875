// What the administrator configures of a site: the table [site] of larder.toml.
//
// The readers below check every value; Site::open() checks what concerns several of them. The
// member initialisers are the defaults; names, limits and texts are in settings.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/settings.h"

namespace larder::site {

struct SiteSettings {
  std::string name = "Larder";
  std::string state_dir = "/var/lib/larder/site";
  std::string control_socket;  // empty: <state_dir>/control.sock
  // What devices and nodes call this site; the issuer of its tokens and the base of `htu`.
  std::string public_url;
  std::vector<std::string> listen = {"0.0.0.0:8443"};          // devices and nodes, HTTPS
  std::vector<std::string> admin_listen = {"127.0.0.1:8444"};  // status page, loopback only
  std::vector<std::string> pki_listen = {"0.0.0.0:8088"};      // CRL and root, plain HTTP
  std::string database = "sqlite";                             // the only kind there is so far
  // What the root may vouch for. A kind with no entry is excluded as a whole.
  std::vector<std::string> dns_suffixes;    // "larder.example.org", no leading dot
  std::vector<std::string> address_ranges;  // CIDR: "10.0.0.0/8", "fd00::/8"
  // Of a new site: "enhanced" or "https-only". Later the stored mode counts, changed over the
  // control socket.
  std::string mode = "enhanced";
  base::LogLevel log_level = base::LogLevel::Info;
  bool log_json = false;
};

// Reads and checks the whole text of a larder.toml. The error's message has one line per mistake,
// each "<file>:<line>: what is wrong; what would be right". Relative paths are resolved against
// the folder of `file_name`.
base::Result<SiteSettings> parse_site_settings(std::string_view text, const std::string& file_name);
base::Result<SiteSettings> load_site_settings(const std::string& path);

// The facts of every setting, for the manual.
std::vector<base::SettingsSectionFacts> describe_site_settings();

}  // namespace larder::site
