// What the administrator configures of a site: the table [site] of larder.toml.
//
// Site::open() checks the values; whoever fills this in checks only their types.
#pragma once

#include <string>
#include <vector>

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
};

}  // namespace larder::site
