// Sets of origins that ship with the product: well-known content hosts an administrator enables by
// name. They are part of the program on purpose: a profile lets a node fetch from its hosts, so it
// may not be editable beside the binary.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "node/settings.h"

namespace larder::node {

struct Profile {
  std::string_view name;
  std::string_view text;  // for the manual
};

const std::vector<Profile>& profiles();

// The origins of a profile; empty when there is no such profile. A host belongs to one profile
// only.
std::vector<OriginSettings> profile_origins(std::string_view name);

}  // namespace larder::node
