#include "http/field_line.h"

#include <bit>
#include <cstring>

#include "http/characters.h"

namespace larder::http {

namespace {

// First position from `i` on whose character may not be in a field value. Eight bytes at a time: a
// byte below 0x20 or equal to 0x7f raises the top bit of its place; the lowest raised bit is exact.
std::size_t skip_field_value(std::string_view text, std::size_t i) {
  if constexpr (std::endian::native == std::endian::little) {
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    constexpr std::uint64_t kTops = 0x8080808080808080;
    while (i + 8 <= text.size()) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, 8);
      const std::uint64_t control = (word - kOnes * 0x20) & ~word & kTops;
      const std::uint64_t flipped = word ^ (kOnes * 0x7f);
      const std::uint64_t deleted = (flipped - kOnes) & ~flipped & kTops;
      const std::uint64_t found = control | deleted;
      if (found == 0) {
        i += 8;
        continue;
      }
      i += static_cast<std::size_t>(std::countr_zero(found)) / 8;
      if (text[i] != '\t') return i;
      ++i;
    }
  }
  while (i < text.size() && is_class(text[i], kFieldValue)) ++i;
  return i;
}

FieldLine bad_line(std::string_view reason) {
  return {.state = FieldLine::State::Bad, .reason = reason};
}

}  // namespace

FieldLine read_field_line(std::string_view text) {
  if (text.empty()) return {};
  if (text[0] == '\r') {
    if (text.size() < 2) return {};
    if (text[1] != '\n') return bad_line("bare CR");
    return {.state = FieldLine::State::EndOfFields, .consumed = 2};
  }
  std::size_t i = 0;
  while (i < text.size() && is_class(text[i], kToken)) ++i;
  if (i == text.size()) return {};
  if (i == 0 || text[i] != ':') {
    if (i == 0 && is_whitespace(text[0])) return bad_line("folded field line");
    if (is_whitespace(text[i])) return bad_line("whitespace before the colon of a field");
    return bad_line("malformed field name");
  }
  const std::size_t name_length = i;
  const std::size_t end = skip_field_value(text, i + 1);
  if (end == text.size()) return {};
  if (text[end] != '\r') {
    return bad_line(text[end] == '\n' ? "bare LF" : "control character in a field value");
  }
  if (end + 1 == text.size()) return {};
  if (text[end + 1] != '\n') return bad_line("bare CR");
  return {.state = FieldLine::State::Field,
          .consumed = end + 2,
          .name = text.substr(0, name_length),
          .value = trim(text.substr(name_length + 1, end - name_length - 1))};
}

bool is_field_value(std::string_view text) {
  return skip_field_value(text, 0) == text.size();
}

std::optional<std::uint64_t> parse_content_length(std::string_view value) {
  if (value.empty() || value.size() > 19 || !all_of_class(value, kDigit)) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : value) number = number * 10 + static_cast<std::uint64_t>(c - '0');
  if (number > INT64_MAX) return std::nullopt;
  return number;
}

TransferCoding parse_transfer_encoding(std::string_view value) {
  if (same_ignoring_case(value, "chunked")) return TransferCoding::Chunked;
  bool known = true;
  std::string_view coding;
  std::size_t codings = 0;
  while (next_list_element(value, coding)) {
    ++codings;
    known = known && same_ignoring_case(coding, "chunked");
  }
  return codings > 0 && !known ? TransferCoding::Unknown : TransferCoding::Bad;
}

}  // namespace larder::http
