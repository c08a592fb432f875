// Random bytes from the kernel, and identifiers made of them. Thread-safe; a kernel without
// randomness ends the process.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "base/clock.h"

namespace larder::base {

void random_bytes(std::span<std::uint8_t> out);

// UUID version 7 (RFC 9562): sorts by time of creation.
std::string make_uuid(WallTime now);

}  // namespace larder::base
