#include "client/rate_schedule.h"

#include <array>
#include <cstdio>
#include <optional>

#include "base/encoding.h"

namespace larder::client {

namespace {

constexpr std::array<std::string_view, 7> kDays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr std::uint8_t kEveryDay = 0x7f;

std::unexpected<base::Error> wrong() {
  return base::fail(base::ErrorCode::InvalidArgument,
                    "must be a rate, or days and a span before it: \"20MB\", \"mon-fri 08:00-18:00 "
                    "2MB\", \"22:00-06:00 unlimited\"");
}

std::string_view next_word(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

std::optional<int> parse_day(std::string_view text) {
  for (std::size_t i = 0; i < kDays.size(); ++i) {
    if (kDays[i] == text) return static_cast<int>(i);
  }
  return std::nullopt;
}

// "mon", "mon-fri", "sat-mon"
std::optional<std::uint8_t> parse_days(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_day(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_day(text.substr(dash + 1));
  if (!first || !last) return std::nullopt;
  std::uint8_t days = 0;
  for (int day = *first;; day = (day + 1) % 7) {
    days = static_cast<std::uint8_t>(days | (1U << day));
    if (day == *last) return days;
  }
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// "08:00", up to "24:00"
std::optional<int> parse_minute(std::string_view text) {
  if (text.size() != 5 || text[2] != ':' || !is_digit(text[0]) || !is_digit(text[1]) ||
      !is_digit(text[3]) || !is_digit(text[4])) {
    return std::nullopt;
  }
  const int minutes = (text[3] - '0') * 10 + (text[4] - '0');
  const int minute = ((text[0] - '0') * 10 + (text[1] - '0')) * 60 + minutes;
  if (minutes > 59 || minute > kMinutesOfDay) return std::nullopt;
  return minute;
}

bool parse_span(std::string_view text, RateRule& rule) {
  if (text.size() != 11 || text[5] != '-') return false;
  const auto from = parse_minute(text.substr(0, 5));
  const auto to = parse_minute(text.substr(6));
  if (!from || !to || *from == *to || *from == kMinutesOfDay) return false;
  rule.from = *from;
  rule.to = *to;
  return true;
}

bool names(const RateRule& rule, int day, int minute) {
  const auto has = [&rule](int of) { return (rule.days >> of & 1) != 0; };
  if (rule.from < rule.to) return has(day) && minute >= rule.from && minute < rule.to;
  return (has(day) && minute >= rule.from) || (has((day + 6) % 7) && minute < rule.to);
}

}  // namespace

std::uint64_t rate_at(const RateSchedule& schedule, int weekday, int minute) {
  for (const RateRule& rule : schedule) {
    if (names(rule, weekday, minute)) return rule.bytes_per_second;
  }
  return kUnlimitedRate;
}

base::Result<RateRule> parse_rate_rule(std::string_view text) {
  RateRule rule;
  std::string_view rest = text;
  std::string_view word = next_word(rest);
  if (const auto days = parse_days(word)) {
    rule.days = *days;
    word = next_word(rest);
  }
  if (parse_span(word, rule)) word = next_word(rest);
  if (word.empty() || !next_word(rest).empty()) return wrong();
  if (word == "unlimited") return rule;
  const auto rate = base::parse_byte_count(word);
  if (!rate) return wrong();
  rule.bytes_per_second = *rate;
  return rule;
}

std::string to_text(const RateRule& rule) {
  std::string text;
  if (rule.days != kEveryDay) {
    // Days in a row, which may go over Sunday: all that the notation can say.
    int first = 0;
    while ((rule.days >> first & 1) == 0 || (rule.days >> ((first + 6) % 7) & 1) != 0) ++first;
    int last = first;
    while ((rule.days >> ((last + 1) % 7) & 1) != 0) last = (last + 1) % 7;
    text += kDays[static_cast<std::size_t>(first)];
    if (last != first) (text += '-') += kDays[static_cast<std::size_t>(last)];
    text += ' ';
  }
  if (rule.from != 0 || rule.to != kMinutesOfDay) {
    std::array<char, 16> span{};
    std::snprintf(span.data(), span.size(), "%02d:%02d-%02d:%02d ", rule.from / 60, rule.from % 60,
                  rule.to / 60, rule.to % 60);
    text += span.data();
  }
  return text + (rule.bytes_per_second == kUnlimitedRate ? std::string("unlimited")
                                                         : std::to_string(rule.bytes_per_second));
}

}  // namespace larder::client
