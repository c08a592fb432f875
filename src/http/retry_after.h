// What a server says of trouble that passes: which statuses, and how long to wait (RFC 9110 section
// 10.2.3).
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace larder::http {

// 408, 425 and 429: the same request may succeed later, although they are 4xx.
constexpr bool is_passing_trouble(int status) {
  return status == 408 || status == 425 || status == 429;
}

// The server cannot answer now, by these or by 5xx: nothing is said of what was asked for.
constexpr bool is_trouble(int status) {
  return status >= 500 || is_passing_trouble(status);
}

inline constexpr std::chrono::seconds kLongestRetryAfter = std::chrono::hours(24 * 7);

// Seconds or an HTTP date, which is counted from `now`; nothing when it is neither. 0 to
// kLongestRetryAfter: what is longer becomes that.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view text, base::WallTime now);

}  // namespace larder::http
