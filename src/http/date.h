// Dates of HTTP (RFC 9110 section 5.6.7), to the second, GMT.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace larder::http {

// "Sun, 06 Nov 1994 08:49:37 GMT"
inline constexpr std::size_t kDateLength = 29;
std::array<char, kDateLength> format_date(base::WallTime time);
std::string date_text(base::WallTime time);

// The form above, and the two obsolete ones ("Sunday, 06-Nov-94 08:49:37 GMT",
// "Sun Nov  6 08:49:37 1994"), names in any case. `now` decides the century of two-digit years: one
// that would lie more than 50 years ahead is past.
std::optional<base::WallTime> parse_date(std::string_view text, base::WallTime now);

}  // namespace larder::http
