// The settings file that `larder up` writes at its first start: a site and a node on one machine,
// on unprivileged ports, with comments for whoever edits it next.
#pragma once

#include <string>

#include "base/error.h"

namespace larder::cli {

inline constexpr int kDefaultPortBase = 8080;

struct UpPorts {
  int http;        // base
  int admin;       // base + 10
  int https;       // base + 363
  int content;     // base + 365
  int site;        // base + 373
  int site_admin;  // base + 374
  int pki;         // base + 375
};

UpPorts up_ports(int base);

// `machine` is the machine's own host name, added to the names when it is a DNS name; empty: none.
std::string make_up_config(int port_base, const std::string& machine);

// Writes <folder>/larder.toml (and the folder) unless it is there; returns its path.
base::Result<std::string> ensure_up_config(const std::string& folder, int port_base);

}  // namespace larder::cli
