// Sets of well-known content hosts that an administrator enables by name. Those that ship are part
// of the program; a folder named in the settings replaces or adds to them between releases. A
// profile says only what a stranger may say about origins: no addresses, roots, fixed places to
// fetch from, or methods beyond GET and HEAD.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "node/settings.h"

namespace larder::node {

struct Profile {
  std::string name;
  std::string text;  // for the manual
  std::vector<OriginSettings> origins;
};

// One file: [profile] with name and text, and its [[origin]] tables. Every mistake with its line.
base::Result<Profile> parse_profile(std::string_view text, const std::string& file_name);

// Refused when two profiles share a name, or list one host.
base::Status check_profiles(const std::vector<Profile>& profiles);

// Those of packaging/profiles, by name.
const std::vector<Profile>& shipped_profiles();

// The shipped ones with what the *.toml files of `folder` replace and add; as a whole or not at
// all. PermissionDenied when everybody may write there.
base::Result<std::vector<Profile>> load_profiles(const std::string& folder);

// Hosts of other profiles below the wildcards of those that are enabled: a host belongs to one
// profile only, so that enabling one never admits another's hosts.
std::vector<std::string> reserved_hosts(const std::vector<Profile>& profiles,
                                        const std::vector<OriginSettings>& origins);

}  // namespace larder::node
