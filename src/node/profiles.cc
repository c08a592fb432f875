#include "node/profiles.h"

namespace larder::node {
namespace {

// The hosts are those that Microsoft's pages on Delivery Optimization and Connected Cache endpoints
// and KB33247081 name.

OriginSettings origin(std::string name, OriginScheme scheme, std::vector<std::string> hosts) {
  OriginSettings out;
  out.name = std::move(name);
  out.hosts = std::move(hosts);
  out.scheme = scheme;
  out.is_public = true;
  out.is_profile = true;
  return out;
}

// Updates are served over plain HTTP only and are signed themselves; their URLs carry a signature
// in P1 to P4 that differs from client to client.
OriginSettings windows_update() {
  OriginSettings out =
      origin("windows-update", OriginScheme::Http,
             {"download.windowsupdate.com", "*.download.windowsupdate.com",
              "au.download.windowsupdate.com", "*.au.download.windowsupdate.com",
              "b1.download.windowsupdate.com", "*.b1.download.windowsupdate.com",
              "au.b1.download.windowsupdate.com", "*.au.b1.download.windowsupdate.com",
              "ctldl.windowsupdate.com", "emdl.ws.microsoft.com", "*.delivery.mp.microsoft.com",
              "dl.delivery.mp.microsoft.com", "*.dl.delivery.mp.microsoft.com",
              "tlu.dl.delivery.mp.microsoft.com", "*.tlu.dl.delivery.mp.microsoft.com"});
  out.ignore_query = {"P1", "P2", "P3", "P4"};
  return out;
}

std::vector<std::string> intune_hosts() {
  std::vector<std::string> hosts;
  for (const char* group : {"swda", "swdb", "swdc", "swdd", "swdin", "swdsw"}) {
    for (const char* number : {"01", "02"}) {
      const std::string stem = std::string(group) + number;
      hosts.push_back(stem + ".manage.microsoft.com");
      hosts.push_back(stem + "-mscdn.manage.microsoft.com");
    }
  }
  return hosts;
}

}  // namespace

const std::vector<Profile>& profiles() {
  static const std::vector<Profile> all = {
      {"windows-update", "Windows updates, drivers, Defender, Store apps and Edge"},
      {"intune", "Win32 apps of Intune; fetched over HTTPS"},
      {"teams", "Microsoft Teams; fetched over HTTPS"},
      {"office", "Microsoft 365 Apps"},
      {"xbox", "Xbox games on Windows"}};
  return all;
}

std::vector<OriginSettings> profile_origins(std::string_view name) {
  if (name == "windows-update") return {windows_update()};
  if (name == "intune") return {origin("intune", OriginScheme::Https, intune_hosts())};
  if (name == "teams") {
    return {origin("teams", OriginScheme::Https,
                   {"statics.teams.cdn.office.net", "*.statics.teams.cdn.office.net",
                    "installer.teams.static.microsoft", "sb.teams.static.microsoft",
                    "sf.teams.static.microsoft"})};
  }
  if (name == "office") {
    return {origin(
        "office", OriginScheme::Same,
        {"officecdn.microsoft.com", "officecdn.microsoft.com.edgesuite.net", "*.cdn.office.net",
         "bg.tscdn.m365.static.microsoft", "fg.tscdn.m365.static.microsoft"})};
  }
  if (name == "xbox") {
    return {origin(
        "xbox", OriginScheme::Same,
        {"assets.xbox.com", "assets1.xboxlive.com", "assets2.xboxlive.com", "d1.xboxlive.com",
         "d2.xboxlive.com", "dlassets.xboxlive.com", "dlassets2.xboxlive.com", "xvcb1.xboxlive.com",
         "xvcb2.xboxlive.com", "xvcf1.xboxlive.com", "xvcf2.xboxlive.com"})};
  }
  return {};
}

}  // namespace larder::node
