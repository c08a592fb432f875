// Ranges: what a client asks for, what an origin says it sends. What is read and written again
// stays the same.
#include "http/range.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const larder::base::WallTime now = larder::base::from_unix_seconds(1795300000);
  for (const std::uint64_t length : {0ull, 1ull, 10ull, 1ull << 40}) {
    const RangeAnswer answer = resolve_range(parse_range(text), length);
    if (answer.kind != RangeAnswer::Kind::Partial) continue;
    require(answer.range.first <= answer.range.last && answer.range.last < length);
    const RangeAnswer again = resolve_range(parse_range(range_text(answer.range)), length);
    require(again.kind == RangeAnswer::Kind::Partial && again.range == answer.range);
  }
  for (const std::uint64_t length : {0ull, 1000ull}) {
    const RangesAnswer answer = resolve_ranges(text, length);
    require((answer.kind == RangeAnswer::Kind::Partial) == !answer.parts.empty());
    require(answer.parts.size() <= kMostRanges);
    if (!answer.parts.empty()) {
      const RangeRequest earliest = parse_earliest_range(text);
      require(earliest.kind != RangeRequest::Kind::Absent);
      for (const ByteRange& part : answer.parts) {
        require(earliest.kind == RangeRequest::Kind::Suffix || earliest.first <= part.first);
      }
    }
    for (const ByteRange& part : answer.parts) {
      require(part.first <= part.last && part.last < length);
    }
  }
  if (const auto range = parse_content_range(text)) {
    require(parse_content_range(content_range_text(*range)) == range);
  }
  (void)if_range_holds(text, "\"a\"", "Sun, 01 Nov 2026 10:00:00 GMT", text, now);
  (void)if_range_holds(text, text, text, "Sun, 01 Nov 2026 12:00:00 GMT", now);
  return 0;
}
