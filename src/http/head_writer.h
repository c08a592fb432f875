// Writes the head of a response into a buffer of the caller's, field names in the spelling that is
// passed: pass canonical capitals, because deployed clients compare names with case. Nothing is
// allocated. A value that could end the line or the head, or a full buffer, makes the writer fail;
// what it holds is then not to be sent.
//
//   std::array<char, 4096> buffer;
//   HeadWriter head(buffer);
//   head.status(206);
//   head.field("Content-Length", range.length());
//   head.content_range(range, length);
//   if (!head.finish()) ... answer 500 instead
//   send(head.text());
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/range.h"

namespace larder::http {

class HeadWriter {
 public:
  explicit HeadWriter(std::span<char> buffer) : buffer_(buffer) {}

  void status(int code);  // "HTTP/1.1 206 Partial Content"
  void field(std::string_view name, std::string_view value);
  void field(std::string_view name, std::uint64_t value);
  void content_range(ByteRange range, std::optional<std::uint64_t> length);
  // Content-Range of a 416: "bytes */length".
  void unsatisfied_range(std::uint64_t length);
  // Whole lines with their CRLF that were made by another HeadWriter, such as a stored head.
  void lines(std::string_view lines) { put(lines); }
  // The empty line. False when anything failed.
  bool finish();

  bool failed() const { return failed_; }
  std::string_view text() const { return {buffer_.data(), length_}; }

 private:
  void put(std::string_view text);
  void put(std::uint64_t number);

  std::span<char> buffer_;
  std::size_t length_ = 0;
  bool failed_ = false;
};

// "Partial Content"; "Unknown" for codes without a registered phrase.
std::string_view reason_phrase(int status);

}  // namespace larder::http
