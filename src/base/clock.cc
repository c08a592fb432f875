#include "base/clock.h"

#include <fmt/format.h>

#include <ctime>
#include <optional>

namespace larder::base {

namespace {

constexpr std::size_t kWholeSeconds = 20;  // 2026-11-21T22:24:13Z

// ".5": half a second. Nothing is none; empty when it is no fraction.
std::optional<std::chrono::microseconds> parse_fraction(std::string_view text) {
  if (text.empty()) return std::chrono::microseconds(0);
  if (text.front() != '.') return std::nullopt;
  text.remove_prefix(1);
  std::chrono::microseconds value{0};
  std::chrono::microseconds unit{100'000};
  for (const char c : text) {
    if (c < '0' || c > '9' || unit.count() == 0) return std::nullopt;
    value += (c - '0') * unit;
    unit /= 10;
  }
  return text.empty() ? std::nullopt : std::optional(value);
}

}  // namespace

WallTime SystemClock::wall() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::string to_rfc3339(WallTime time) {
  const std::time_t seconds = static_cast<std::time_t>(to_unix_seconds(time));
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text, length);
}

std::string to_rfc3339_exact(WallTime time) {
  const auto fraction = time - std::chrono::floor<std::chrono::seconds>(time);
  std::string text = to_rfc3339(time);
  text.insert(text.size() - 1, fmt::format(".{:06}", fraction.count()));
  return text;
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  const auto bad = [&] {
    return fail(ErrorCode::InvalidArgument, "not a time like 2026-01-31T12:00:00Z");
  };
  if (text.size() < kWholeSeconds || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
      text[13] != ':' || text[16] != ':' || text.back() != 'Z') {
    return bad();
  }
  const auto fraction = parse_fraction(text.substr(19, text.size() - kWholeSeconds));
  if (!fraction) return bad();
  const auto number = [&](std::size_t at, std::size_t digits) {
    int value = 0;
    for (std::size_t i = at; i < at + digits; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  const int year = number(0, 4);
  const int month = number(5, 2);
  const int day = number(8, 2);
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (year < 0 || month < 0 || day < 0 || !date.ok() || hour < 0 || hour > 23 || minute < 0 ||
      minute > 59 || second < 0 || second > 60) {
    return bad();
  }
  return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{hour} +
         std::chrono::minutes{minute} + std::chrono::seconds{second} + *fraction;
}

}  // namespace larder::base
