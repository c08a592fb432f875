// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein): a keyed hash for tables whose keys
// come from strangers. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "store/object.h"

namespace larder::store {

// `high` is the first eight bytes of the published output, `low` the last eight, little-endian.
Key siphash_128(const std::array<std::uint8_t, 16>& secret, std::span<const std::uint8_t> bytes);

}  // namespace larder::store
