// The head of an origin's response, read strictly from the raw lines that the transport delivers
// (libcurl accepts two different lengths and lets the last one win, so its own view of the head is
// not used). Owns its texts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "http/field_name.h"
#include "http/range.h"
#include "http/request_head.h"

namespace larder::http {

struct ResponseField {
  std::string name;  // as sent
  std::string value;
  FieldName id = FieldName::Other;
};

struct ResponseHead {
  int status = 0;         // 200-599; 1xx of an interim response
  int version_major = 1;  // 1 to 3
  int version_minor = 1;
  std::vector<ResponseField> fields;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  // Of a 206 (always with a range, but absent in one with several parts) or a 416 (never with one).
  // In other responses Content-Range has
  // no meaning: there it is a field like any other.
  std::optional<ContentRange> content_range;

  // First field of that name; empty when absent.
  std::string_view field(FieldName name) const;
  std::string_view field(std::string_view name) const;
  std::size_t count(FieldName name) const;
};

// Takes one line after the other, each with its CRLF, as libcurl's header callback gives them.
// Interim responses (1xx) come before the final one; 101 is refused, because nobody asks for it.
// Refused with InvalidArgument: everything that a message
// parser further on could frame differently, such as two lengths, a length beside
// Transfer-Encoding, folded lines, bare CR or LF, a 206 whose Content-Range is missing (unless it
// has several parts), malformed or does not agree with Content-Length; and heads beyond the limits.
class ResponseHeadReader {
 public:
  // `takes_parts`: several ranges were asked for, so a 206 may be multipart/byteranges, without a
  // Content-Range.
  explicit ResponseHeadReader(const HeadLimits& limits = {}, bool takes_parts = false)
      : limits_(limits), takes_parts_(takes_parts) {}

  base::Status add_line(std::string_view line);
  // True after the empty line of the final response: lines after that are trailers, not for here.
  bool is_complete() const { return complete_; }
  // Requires is_complete().
  ResponseHead take() { return std::move(head_); }
  // An interim response that the last line completed.
  std::optional<ResponseHead> take_interim() { return std::exchange(interim_, std::nullopt); }

 private:
  base::Status add_status_line(std::string_view line);
  base::Status add_field(std::string_view line);
  base::Status finish();

  HeadLimits limits_;
  bool takes_parts_;
  ResponseHead head_;
  std::optional<ResponseHead> interim_;
  std::size_t bytes_ = 0;
  int interim_responses_ = 0;
  int transfer_encodings_ = 0;
  bool has_status_line_ = false;
  bool complete_ = false;
};

// A whole head at once; bytes after its empty line are an error.
base::Result<ResponseHead> parse_response_head(std::string_view text,
                                               const HeadLimits& limits = {});

}  // namespace larder::http
