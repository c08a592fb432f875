// How long a source may keep a download waiting, where there is another one to go to.
#pragma once

#include <chrono>

namespace larder::agent {

// Connecting, TLS handshake included. A cache or node is near; behind it there is always the origin
// or the site, and behind those nothing.
inline constexpr std::chrono::milliseconds kNearbyConnectTimeout{3000};
inline constexpr std::chrono::milliseconds kLastConnectTimeout{15'000};

}  // namespace larder::agent
