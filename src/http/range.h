// Ranges of bytes (RFC 9110 section 14): what a client asks for, what an origin says it sends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace larder::http {

// Both ends belong to the range.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;

  std::uint64_t length() const { return last - first + 1; }
  bool operator==(const ByteRange&) const = default;
};

// A Range field's value, before the length of the representation is known.
struct RangeRequest {
  enum class Kind : std::uint8_t {
    Absent,  // no field, another unit, bad syntax, or several ranges (resolve_ranges)
    Closed,  // first-last
    Open,    // first-
    Suffix,  // the last `length` bytes
  };
  Kind kind = Kind::Absent;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint64_t length = 0;
};

// An invalid field is as good as none (RFC 9110 section 14.2). Of a request with several Range
// fields pass the last one: RequestHead::last_field(FieldName::Range).
RangeRequest parse_range(std::string_view value);

// Of a field with one range or several the one that begins first; of those from the end one, when
// there is any, because where they begin is not known. Absent when resolve_ranges() gives the whole
// whatever the length is.
RangeRequest parse_earliest_range(std::string_view value);

struct RangeAnswer {
  enum class Kind : std::uint8_t {
    Whole,          // 200
    Partial,        // 206 with `range`
    Unsatisfiable,  // 416 with "bytes */length"
  };
  Kind kind = Kind::Whole;
  ByteRange range;
};

RangeAnswer resolve_range(const RangeRequest& request, std::uint64_t length);

// More ranges in one field than this are answered with the whole, which is cheaper to send.
inline constexpr std::size_t kMostRanges = 16;
// Ranges that overlap or leave less than this between them become one: a part's head costs as much.
inline constexpr std::uint64_t kRangeGap = 128;

// A field with several ranges (RFC 9110 section 14.2 and 15.3.7.2): Partial with those that can be
// satisfied, in the client's order unless some were joined.
struct RangesAnswer {
  RangeAnswer::Kind kind = RangeAnswer::Kind::Whole;
  std::vector<ByteRange> parts;
};
RangesAnswer resolve_ranges(std::string_view value, std::uint64_t length);

// Content-Range of a 206 ("bytes 0-4/10", "bytes 0-4/*") or of a 416 ("bytes */10").
struct ContentRange {
  std::optional<ByteRange> range;
  std::optional<std::uint64_t> length;  // of the whole representation

  bool operator==(const ContentRange&) const = default;
};
std::optional<ContentRange> parse_content_range(std::string_view value);
std::string content_range_text(const ContentRange& content_range);

// "bytes=0-4"
std::string range_text(ByteRange range);

// True when the Range may be honoured for a representation with these validators (RFC 9110 section
// 13.1.5): the strong entity tag is the same, or the date is exactly a Last-Modified that is
// strong. `last_modified` and `date` are the texts of the stored response's fields.
bool if_range_holds(std::string_view if_range, std::string_view etag,
                    std::string_view last_modified, std::string_view date, base::WallTime now);

}  // namespace larder::http
