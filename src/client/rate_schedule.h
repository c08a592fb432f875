// How much may come from origins, by day of the week and time of day. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace larder::client {

inline constexpr std::uint64_t kUnlimitedRate = UINT64_MAX;
inline constexpr int kMinutesOfDay = 24 * 60;

struct RateRule {
  std::uint8_t days = 0x7f;  // bit 0 is Monday; of a rule over midnight, the day on which it begins
  int from = 0;              // minute of the day
  int to = kMinutesOfDay;    // not included; before `from`: over midnight
  std::uint64_t bytes_per_second = kUnlimitedRate;

  bool operator==(const RateRule&) const = default;
};
// The first rule that names the moment counts; without one there is no limit.
using RateSchedule = std::vector<RateRule>;

// `weekday` 0 is Monday, in the node's time zone.
std::uint64_t rate_at(const RateSchedule& schedule, int weekday, int minute);

// "20MB", "mon-fri 08:00-18:00 2MB", "sat 500KB", "22:00-06:00 unlimited": days, a span and bytes a
// second; 0 means nothing at all.
base::Result<RateRule> parse_rate_rule(std::string_view text);
std::string to_text(const RateRule& rule);

}  // namespace larder::client
