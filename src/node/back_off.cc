#include "node/back_off.h"

#include <algorithm>

namespace larder::node {

std::chrono::milliseconds back_off(unsigned failures, std::uint32_t random) {
  constexpr std::int64_t kFirst = 1000;
  constexpr std::int64_t kLongest = 30'000;
  const unsigned doublings = std::min(failures == 0 ? 0U : failures - 1, 5U);
  const std::int64_t whole = std::min(kFirst << doublings, kLongest);
  return std::chrono::milliseconds(whole - whole / 4 * (random % 1024) / 1024);
}

}  // namespace larder::node
