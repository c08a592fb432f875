#include "http/date.h"

#include <algorithm>
#include <chrono>

#include "http/characters.h"

namespace larder::http {

namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// Takes parts off the front of a date; once a part is wrong, all later ones are.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool failed() const { return failed_; }
  bool at_end() const { return !failed_ && rest_.empty(); }

  // In any case: dates are sent in one, but those who write "gmt" mean no other zone.
  void expect(std::string_view literal) {
    failed_ = failed_ || !starts_with(literal);
    if (!failed_) rest_.remove_prefix(literal.size());
  }
  int number(std::size_t digits) {
    failed_ = failed_ || rest_.size() < digits || !all_of_class(rest_.substr(0, digits), kDigit);
    if (failed_) return 0;
    int value = 0;
    for (const char c : rest_.substr(0, digits)) value = value * 10 + (c - '0');
    rest_.remove_prefix(digits);
    return value;
  }
  // "06" or " 6", as asctime() has it.
  int padded_day() {
    if (!rest_.starts_with(' ')) return number(2);
    rest_.remove_prefix(1);
    return number(1);
  }
  unsigned month() {
    for (unsigned i = 0; !failed_ && i < kMonths.size(); ++i) {
      if (starts_with(kMonths[i])) {
        rest_.remove_prefix(3);
        return i + 1;
      }
    }
    failed_ = true;
    return 0;
  }
  std::chrono::seconds time_of_day() {
    const int hours = number(2);
    expect(":");
    const int minutes = number(2);
    expect(":");
    const int seconds = number(2);
    failed_ = failed_ || hours > 23 || minutes > 59 || seconds > 60;  // 60: a leap second
    return std::chrono::hours{hours} + std::chrono::minutes{minutes} +
           std::chrono::seconds{seconds};
  }

 private:
  bool starts_with(std::string_view literal) const {
    return same_ignoring_case(rest_.substr(0, literal.size()), literal);
  }

  std::string_view rest_;
  bool failed_ = false;
};

bool is_one_of(std::string_view text, const std::array<std::string_view, 7>& names) {
  return std::any_of(names.begin(), names.end(),
                     [text](std::string_view name) { return same_ignoring_case(text, name); });
}

std::optional<base::WallTime> make_time(const Reader& reader, int year, unsigned month, int day,
                                        std::chrono::seconds time_of_day) {
  if (!reader.at_end()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return std::nullopt;
  return base::WallTime{std::chrono::sys_days{date}} + time_of_day;
}

void put_two(char* out, unsigned value) {
  out[0] = static_cast<char>('0' + value / 10 % 10);
  out[1] = static_cast<char>('0' + value % 10);
}

}  // namespace

std::array<char, kDateLength> format_date(base::WallTime time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::year_month_day date{day};
  const unsigned weekday = std::chrono::weekday{day}.c_encoding();
  const auto of_day = static_cast<unsigned>((second - day).count());
  const auto year = static_cast<unsigned>(std::clamp(static_cast<int>(date.year()), 0, 9999));

  std::array<char, kDateLength> text{};
  const std::string_view shape = "Sun, 06 Nov 1994 08:49:37 GMT";
  std::copy(shape.begin(), shape.end(), text.begin());
  std::copy_n(kDays[weekday].begin(), 3, text.begin());
  put_two(&text[5], static_cast<unsigned>(date.day()));
  std::copy_n(kMonths[static_cast<unsigned>(date.month()) - 1].begin(), 3, &text[8]);
  put_two(&text[12], year / 100);
  put_two(&text[14], year % 100);
  put_two(&text[17], of_day / 3600);
  put_two(&text[20], of_day / 60 % 60);
  put_two(&text[23], of_day % 60);
  return text;
}

std::string date_text(base::WallTime time) {
  const auto text = format_date(time);
  return {text.data(), text.size()};
}

std::optional<base::WallTime> parse_date(std::string_view text, base::WallTime now) {
  const std::size_t comma = text.find(',');
  if (comma == 3 && is_one_of(text.substr(0, 3), kDays)) {
    Reader reader(text.substr(4));
    reader.expect(" ");
    const int day = reader.number(2);
    reader.expect(" ");
    const unsigned month = reader.month();
    reader.expect(" ");
    const int year = reader.number(4);
    reader.expect(" ");
    const auto time = reader.time_of_day();
    reader.expect(" GMT");
    return make_time(reader, year, month, day, time);
  }
  if (comma != std::string_view::npos) {
    if (!is_one_of(text.substr(0, comma), kLongDays)) return std::nullopt;
    Reader reader(text.substr(comma + 1));
    reader.expect(" ");
    const int day = reader.number(2);
    reader.expect("-");
    const unsigned month = reader.month();
    reader.expect("-");
    const int short_year = reader.number(2);
    reader.expect(" ");
    const auto time = reader.time_of_day();
    reader.expect(" GMT");
    const std::chrono::year_month_day today{std::chrono::floor<std::chrono::days>(now)};
    const int century = static_cast<int>(today.year()) / 100 * 100;
    // At the end of a century "05" is nearer in the next one.
    for (const int year : {century + 100 + short_year, century + short_year}) {
      const auto value = make_time(reader, year, month, day, time);
      if (value && *value <= now + std::chrono::years{50}) return value;
    }
    return make_time(reader, century - 100 + short_year, month, day, time);
  }
  if (text.size() > 4 && text[3] == ' ' && is_one_of(text.substr(0, 3), kDays)) {
    Reader reader(text.substr(4));
    const unsigned month = reader.month();
    reader.expect(" ");
    const int day = reader.padded_day();
    reader.expect(" ");
    const auto time = reader.time_of_day();
    reader.expect(" ");
    const int year = reader.number(4);
    return make_time(reader, year, month, day, time);
  }
  return std::nullopt;
}

}  // namespace larder::http
