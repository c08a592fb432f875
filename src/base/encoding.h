// Text forms of bytes: hexadecimal, base64url (RFC 4648 section 5, no padding), and sizes like
// "100GB".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace larder::base {

// A view of the bytes of a string or array, for functions that take bytes.
inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_hex(std::span<const std::uint8_t> bytes);  // lower case
Result<std::string> from_hex(std::string_view text);      // either case; the bytes as a string

std::string to_base64url(std::span<const std::uint8_t> bytes);
// Refuses padding, foreign characters and non-zero trailing bits: one text for one value.
Result<std::string> from_base64url(std::string_view text);

// "4096", "64KiB", "100GB" (decimal), "1.5TiB" is refused: whole numbers only. Bytes.
Result<std::uint64_t> parse_byte_count(std::string_view text);
// "1.5 GB": decimal units, for people.
std::string format_byte_count(std::uint64_t bytes);

// ASCII only, as all protocol text that we compare without case.
char to_lower(char c);
std::string to_lower(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
// True when both have the same bytes; the time does not depend on where they differ.
bool equals_in_constant_time(std::string_view a, std::string_view b);

}  // namespace larder::base
