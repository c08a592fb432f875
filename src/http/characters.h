// Character classes of HTTP (RFC 9110 section 5.6) and comparisons without case, inline because the
// request parser is on the path of every request. ASCII only.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace larder::http {

enum CharacterClass : std::uint8_t {
  kToken = 1,       // tchar: names of fields and methods
  kTarget = 2,      // allowed in a request target: printable ASCII without space and '#'
  kDigit = 4,       // 0-9
  kFieldValue = 8,  // field content: HTAB, SP, VCHAR, obs-text
  kHostname = 16,   // letters, digits, '-', '.', '_'
  kEntityTag = 32,  // etagc: '!', '#'-'~' without '"', obs-text
};

inline constexpr std::array<std::uint8_t, 256> kCharacterClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool visible = c > 0x20 && c < 0x7f;
    const bool token = digit || letter ||
                       (visible && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                                       std::string_view::npos);
    unsigned value = 0;
    if (token) value |= kToken;
    if (visible && c != '#') value |= kTarget;
    if (digit) value |= kDigit;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) value |= kFieldValue;
    if (digit || letter || c == '-' || c == '.' || c == '_') value |= kHostname;
    if ((visible && c != '"') || c >= 0x80) value |= kEntityTag;
    classes[c] = static_cast<std::uint8_t>(value);
  }
  return classes;
}();

constexpr bool is_class(char c, CharacterClass wanted) {
  return (kCharacterClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}
constexpr bool all_of_class(std::string_view text, CharacterClass wanted) {
  for (const char c : text) {
    if (!is_class(c, wanted)) return false;
  }
  return true;
}
constexpr bool is_token(std::string_view text) {
  return !text.empty() && all_of_class(text, kToken);
}

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

constexpr bool same_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

constexpr bool is_whitespace(char c) {
  return c == ' ' || c == '\t';
}

// Without optional whitespace (SP, HTAB) at both ends.
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && is_whitespace(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_whitespace(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the next element of a comma-separated list of tokens off `list` (RFC 9110 section 5.6.1),
// trimmed; empty elements are skipped. False at the end. Not for lists with quoted strings.
constexpr bool next_list_element(std::string_view& list, std::string_view& element) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    element = trim(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    if (!element.empty()) return true;
  }
  return false;
}

}  // namespace larder::http
