// Values of single fields: Cache-Control, Age, dates, entity tags and lists of them, as a client
// and as an origin may send them. What is read and written again stays the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http/cache_control.h"
#include "http/conditional.h"
#include "http/date.h"
#include "require.h"

namespace {

using namespace larder::http;

const larder::base::WallTime kNow = larder::base::from_unix_seconds(1795300000);
constexpr std::string_view kLastModified = "Sun, 01 Nov 2026 10:00:00 GMT";

void check_deltas(const CacheControl& control) {
  for (const auto& delta : {control.max_age, control.s_maxage, control.min_fresh, control.max_stale,
                            control.stale_while_revalidate, control.stale_if_error}) {
    require(!delta || (delta->count() >= 0 && *delta <= kLongestDelta));
  }
}

void check_cache_control(std::string_view text) {
  CacheControl control;
  control.add(text);
  control.add(text);  // a field may have several lines
  check_deltas(control);
  for (const char* name : {"set-cookie", "a"}) (void)control.withholds(name);
  if (const auto targeted = parse_targeted_cache_control(text)) check_deltas(*targeted);
  if (const auto age = parse_age(text)) require(age->count() >= 0 && *age <= kLongestDelta);
}

// The text as the value of each of the conditional fields, alone and with others before it.
void check_conditions(std::string_view text) {
  if (text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) return;
  static RequestHead head;
  constexpr std::string_view kFields[] = {"If-Match", "If-None-Match", "If-Modified-Since",
                                          "If-Unmodified-Since"};
  for (const std::string_view field : kFields) {
    for (const std::string_view before : {"", "If-None-Match: \"b\"\r\n"}) {
      std::string request = "GET / HTTP/1.1\r\nHost: a\r\n";
      request.append(before).append(field).append(": ").append(text).append("\r\n\r\n");
      if (parse_request_head(request, head).state != HeadParse::State::Complete) continue;
      for (const bool as_origin : {false, true}) {
        (void)evaluate_preconditions(head, {.etag = "\"a\"", .last_modified = kLastModified},
                                     as_origin, kNow);
        (void)evaluate_preconditions(head, {}, as_origin, kNow);
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_cache_control(text);
  if (const auto date = parse_date(text, kNow)) {
    require(parse_date(date_text(*date), kNow) == date);
  }
  if (const auto tag = parse_entity_tag(text)) {
    require(tag->opaque.size() >= 2 && same_weakly(*tag, *tag));
    require(same_strongly(*tag, *tag) != tag->weak);
  }
  (void)is_strong_last_modified(text, "Sun, 01 Nov 2026 12:00:00 GMT", kNow);
  (void)is_strong_last_modified(kLastModified, text, kNow);
  check_conditions(text);
  return 0;
}
