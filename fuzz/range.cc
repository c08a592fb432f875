// Values of single fields: ranges, dates, entity tags, Cache-Control, authorities. What is read and
// written again stays the same.
#include "http/range.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "http/cache_control.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/target.h"

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace larder::http;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const larder::base::WallTime now = larder::base::from_unix_seconds(1795300000);
  for (const std::uint64_t length : {0ull, 1ull, 10ull, 1ull << 40}) {
    const RangeAnswer answer = resolve_range(parse_range(text), length);
    if (answer.kind == RangeAnswer::Kind::Partial) {
      require(answer.range.first <= answer.range.last && answer.range.last < length);
    }
  }
  if (const auto range = parse_content_range(text)) {
    require(parse_content_range(content_range_text(*range)) == range);
  }
  if (const auto date = parse_date(text, now)) require(parse_date(date_text(*date), now) == date);
  if (const auto tag = parse_entity_tag(text)) require(tag->opaque.size() >= 2);
  if (const auto authority = parse_authority(text)) {
    const auto again = parse_authority(authority->text());
    require(again && again->text() == authority->text());
  }
  (void)if_range_holds(text, "\"a\"", "Sun, 01 Nov 2026 10:00:00 GMT", text, now);
  (void)percent_decode(text, 100);
  CacheControl control;
  control.add(text);
  require(!control.max_age || (control.max_age->count() >= 0 && *control.max_age <= kLongestDelta));
  return 0;
}
