// What a node is told, signed (docs/protocol.md, "Snapshot"). Private to this folder.
#pragma once

#include <string>

#include "site/state.h"

namespace larder::site {

inline constexpr std::string_view kSnapshotType = "larder-snapshot+jwt";

// The published state for one node, as a JWS of the snapshot key. Neither SQL nor files.
base::Result<std::string> sign_snapshot(const State& state, const Published& published,
                                        const Node& node, base::WallTime now);

}  // namespace larder::site
