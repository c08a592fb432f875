#include "http/retry_after.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "http/characters.h"
#include "http/date.h"

namespace larder::http {

std::optional<std::chrono::seconds> parse_retry_after(std::string_view text, base::WallTime now) {
  if (!text.empty() && all_of_class(text, kDigit)) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto longest = static_cast<std::uint64_t>(kLongestRetryAfter.count());
    if (error != std::errc()) number = longest;  // more digits than any number of seconds has
    return std::chrono::seconds(std::min(number, longest));
  }
  const auto date = parse_date(text, now);
  if (!date) return std::nullopt;
  const auto wait = std::chrono::ceil<std::chrono::seconds>(*date - now);
  return std::clamp(wait, std::chrono::seconds(0), kLongestRetryAfter);
}

}  // namespace larder::http
