// The table [[origin]], as it stands in larder.toml and in profiles.
#pragma once

#include <string>
#include <vector>

#include "base/settings.h"
#include "node/settings.h"

namespace larder::node {

// Name, limits, text and checks of every setting of an origin.
const base::SettingsSection<OriginSettings>& origin_section();

// An origin with the line of its table.
struct OriginAt {
  OriginSettings origin;
  int line = 0;
};
// All [[origin]] tables of a file.
std::vector<OriginAt> read_origins(const base::SettingsTable& file, base::SettingsErrors& errors);

// Names and hosts that are given twice.
void check_origins(const std::vector<OriginAt>& origins, base::SettingsErrors& errors);

}  // namespace larder::node
