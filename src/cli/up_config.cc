#include "cli/up_config.h"

#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>

#include "base/address.h"
#include "base/encoding.h"
#include "base/file.h"

namespace larder::cli {
namespace {

bool is_host_name(const std::string& name) {
  return !name.empty() && name.size() <= 253 && name.front() != '-' && name.front() != '.' &&
         name.back() != '-' && name.back() != '.' && name.find("..") == std::string::npos &&
         !base::is_address(name) && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
         });
}

std::string machine_name() {
  utsname names{};
  return uname(&names) == 0 ? base::to_lower(names.nodename) : "";
}

}  // namespace

UpPorts up_ports(int base) {
  return {base, base + 10, base + 363, base + 365, base + 373, base + 374, base + 375};
}

std::string make_up_config(int port_base, const std::string& machine) {
  const UpPorts ports = up_ports(port_base);
  const auto on = [](const char* address, int port) {
    return "\"" + std::string(address) + ":" + std::to_string(port) + "\"";
  };
  const bool named = is_host_name(machine) && machine != "localhost";
  const std::string also = named ? ", \"" + machine + "\"" : "";
  return "# A site and a cache node on this machine. `larder settings` explains every setting;\n"
         "# `larder node check` and `larder site check` show mistakes. Paths are relative to this "
         "file.\n"
         "\n"
         "[node]\n"
         "name = \"node1\"\n"
         "state_dir = \"node\"\n"
         "http_listen = [" +
         on("0.0.0.0", ports.http) +
         "]\n"
         "https_listen = [" +
         on("0.0.0.0", ports.https) +
         "]\n"
         "content_listen = [" +
         on("0.0.0.0", ports.content) +
         "]    # site content, for token holders\n"
         "admin_listen = " +
         on("127.0.0.1", ports.admin) +
         "          # /healthz /readyz /metrics\n"
         "# What clients call this node. A certificate for HTTPS must cover these names.\n"
         "connection_names = [\"localhost\", \"127.0.0.1\"" +
         also +
         "]\n"
         "# Content that may be cached: shipped sets of origins, and the [[origin]] tables below.\n"
         "profiles = [\"windows-update\", \"intune\", \"teams\", \"office\", \"xbox\"]\n"
         "# Delivery over HTTPS with the site's own certificate, when no other one is imported: "
         "clients\n"
         "# then trust the site's root for cached public content too.\n"
         "site_certificate_for_delivery = false\n"
         "\n"
         "[[node.drive]]\n"
         "path = \"cache\"\n"
         "size = \"20GB\"\n"
         "\n"
         "# [[origin]]\n"
         "# name = \"debian\"\n"
         "# hosts = [\"deb.debian.org\"]\n"
         "\n"
         "[site]\n"
         "name = \"Example\"\n"
         "state_dir = \"site\"\n"
         "# What devices and other nodes call the site; its certificate carries this name. Tokens "
         "are\n"
         "# bound to it, so change it (and the names below) before devices register.\n"
         "public_url = \"https://localhost:" +
         std::to_string(ports.site) +
         "\"\n"
         "listen = [" +
         on("0.0.0.0", ports.site) +
         "]            # devices and nodes\n"
         "admin_listen = [" +
         on("127.0.0.1", ports.site_admin) +
         "]    # status page\n"
         "pki_listen = [" +
         on("0.0.0.0", ports.pki) +
         "]        # revocation list and root certificate\n"
         "# All that the site's root can ever vouch for: written into the root at its first "
         "start.\n"
         "dns_suffixes = [\"localhost\"" +
         also +
         "]\n"
         "address_ranges = [\"127.0.0.0/8\", \"10.0.0.0/8\", \"172.16.0.0/12\", "
         "\"192.168.0.0/16\"]\n"
         "mode = \"enhanced\"\n";
}

base::Result<std::string> ensure_up_config(const std::string& folder, int port_base) {
  std::string path = folder + "/larder.toml";
  struct stat info{};
  if (stat(path.c_str(), &info) == 0) return path;
  if (auto status = base::make_directories(folder, 0750); !status)
    return std::unexpected(status.error());
  if (auto status =
          base::write_file_atomically(path, make_up_config(port_base, machine_name()), 0640);
      !status)
    return std::unexpected(status.error());
  return path;
}

}  // namespace larder::cli
