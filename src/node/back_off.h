// How long to wait after failures: 1 s, 2 s, 4 s ... at most 30 s, each with a jitter of a quarter,
// so that nodes do not return to a restarted site all at once.
#pragma once

#include <chrono>
#include <cstdint>

namespace larder::node {

// `failures` in a row, at least 1; `random` is any number, the same gives the same.
std::chrono::milliseconds back_off(unsigned failures, std::uint32_t random);

}  // namespace larder::node
