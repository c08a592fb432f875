// Reading of single field lines and of the values that frame a message, shared by the parsers of
// requests, responses and trailers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace larder::http {

// One "Name: value CRLF" at the start of `text`.
struct FieldLine {
  enum class State : std::uint8_t { NeedMore, Field, EndOfFields, Bad };
  State state = State::NeedMore;
  std::size_t consumed = 0;
  std::string_view name{};
  std::string_view value{};   // without whitespace around it
  std::string_view reason{};  // Bad: a fixed sentence
};
FieldLine read_field_line(std::string_view text);

// No byte of it could end the line: HTAB, SP, visible ASCII and bytes above 0x7f only.
bool is_field_value(std::string_view text);

// Content-Length: digits only, below 2^63. A list is refused, also one of equal numbers.
std::optional<std::uint64_t> parse_content_length(std::string_view value);

// Transfer-Encoding of one field line.
enum class TransferCoding : std::uint8_t {
  Chunked,  // exactly "chunked"
  Unknown,  // names a coding that we do not know
  Bad,      // empty, chunked twice or not last
};
TransferCoding parse_transfer_encoding(std::string_view value);

}  // namespace larder::http
