// Where a package is: the site's location answer (docs/protocol.md), checked. Pure; private to this
// folder.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "content/manifest.h"

namespace larder::agent {

struct Source {
  std::string name;   // what people see
  std::string url;    // https, without a slash at the end
  std::string trust;  // PEM; empty: the system's store
  bool is_site = false;
};

struct Location {
  content::Manifest manifest;   // its signature and digest are verified
  std::vector<Source> sources;  // in the order in which to try them
};

// `package` and `version` are what was asked for; an empty version takes any. InvalidArgument when
// the answer is malformed, Unauthenticated when the manifest is not what the answer says it is.
base::Result<Location> parse_location(std::string_view body, std::string_view package,
                                      std::string_view version, base::WallTime now);

}  // namespace larder::agent
