#include "http/range.h"

#include <algorithm>

#include "http/characters.h"
#include "http/conditional.h"
#include "http/date.h"

namespace larder::http {

namespace {

// Digits only. What does not fit is as large as anything: the sum of all real lengths is below it.
std::optional<std::uint64_t> parse_position(std::string_view text) {
  if (text.empty() || !all_of_class(text, kDigit)) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : text) {
    if (number > (INT64_MAX - 9) / 10) return INT64_MAX;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

std::optional<RangeRequest> parse_one(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view before = text.substr(0, dash);
  const std::string_view after = text.substr(dash + 1);
  RangeRequest request;
  if (before.empty()) {
    const auto length = parse_position(after);
    if (!length) return std::nullopt;
    request.kind = RangeRequest::Kind::Suffix;
    request.length = *length;
    return request;
  }
  const auto first = parse_position(before);
  if (!first) return std::nullopt;
  request.first = *first;
  if (after.empty()) {
    request.kind = RangeRequest::Kind::Open;
    return request;
  }
  const auto last = parse_position(after);
  if (!last || *last < *first) return std::nullopt;
  request.kind = RangeRequest::Kind::Closed;
  request.last = *last;
  return request;
}

}  // namespace

namespace {

// What follows "bytes="; nothing for another unit.
std::optional<std::string_view> ranges_of_bytes(std::string_view value) {
  const std::size_t equals = value.find('=');
  if (equals == std::string_view::npos || !same_ignoring_case(value.substr(0, equals), "bytes")) {
    return std::nullopt;
  }
  return value.substr(equals + 1);
}

// Sorts and joins when any two are close, else leaves the order alone.
void join_ranges(std::vector<ByteRange>& parts) {
  std::vector<ByteRange> sorted = parts;
  std::sort(sorted.begin(), sorted.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
  std::vector<ByteRange> joined;
  for (const ByteRange& range : sorted) {
    if (!joined.empty() && range.first <= joined.back().last + kRangeGap) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  if (joined.size() < parts.size()) parts = std::move(joined);
}

}  // namespace

RangeRequest parse_range(std::string_view value) {
  auto list = ranges_of_bytes(value);
  if (!list) return {};
  std::string_view element;
  std::optional<RangeRequest> found;
  while (next_list_element(*list, element)) {
    if (found) return {};
    found = parse_one(element);
    if (!found) return {};
  }
  return found.value_or(RangeRequest{});
}

RangeRequest parse_earliest_range(std::string_view value) {
  using Kind = RangeRequest::Kind;
  auto list = ranges_of_bytes(value);
  if (!list) return {};
  RangeRequest earliest;
  std::string_view element;
  std::size_t count = 0;
  while (next_list_element(*list, element)) {
    const auto range = parse_one(element);
    if (!range || ++count > kMostRanges) return {};
    const bool is_first = earliest.kind == Kind::Absent || range->kind == Kind::Suffix ||
                          (earliest.kind != Kind::Suffix && range->first < earliest.first);
    if (is_first) earliest = *range;
  }
  return earliest;
}

RangesAnswer resolve_ranges(std::string_view value, std::uint64_t length) {
  RangesAnswer answer;
  auto list = ranges_of_bytes(value);
  if (!list) return answer;
  std::string_view element;
  std::size_t count = 0;
  while (next_list_element(*list, element)) {
    const auto range = parse_one(element);
    if (!range || ++count > kMostRanges) return {};
    const RangeAnswer resolved = resolve_range(*range, length);
    if (resolved.kind == RangeAnswer::Kind::Whole) return {};
    if (resolved.kind == RangeAnswer::Kind::Partial) answer.parts.push_back(resolved.range);
  }
  if (count == 0) return answer;
  join_ranges(answer.parts);
  answer.kind =
      answer.parts.empty() ? RangeAnswer::Kind::Unsatisfiable : RangeAnswer::Kind::Partial;
  return answer;
}

RangeAnswer resolve_range(const RangeRequest& request, std::uint64_t length) {
  constexpr RangeAnswer kUnsatisfiable{.kind = RangeAnswer::Kind::Unsatisfiable, .range = {}};
  const auto partial = [&](std::uint64_t first, std::uint64_t last) {
    return RangeAnswer{.kind = RangeAnswer::Kind::Partial,
                       .range = {.first = first, .last = std::min(last, length - 1)}};
  };
  switch (request.kind) {
    case RangeRequest::Kind::Absent:
      return {};
    case RangeRequest::Kind::Closed:
      if (request.first >= length) return kUnsatisfiable;
      return partial(request.first, request.last);
    case RangeRequest::Kind::Open:
      if (request.first >= length) return kUnsatisfiable;
      return partial(request.first, length - 1);
    case RangeRequest::Kind::Suffix:
      if (request.length == 0) return kUnsatisfiable;
      // Satisfied by all of nothing, which no Content-Range can say.
      if (length == 0) return {};
      return partial(length - std::min(request.length, length), length - 1);
  }
  return {};
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  if (value.size() < kUnit.size() || !same_ignoring_case(value.substr(0, kUnit.size()), kUnit)) {
    return std::nullopt;
  }
  value.remove_prefix(kUnit.size());
  const std::size_t slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  ContentRange result;
  const std::string_view range = value.substr(0, slash);
  const std::string_view length = value.substr(slash + 1);
  if (length != "*") {
    result.length = parse_position(length);
    if (!result.length || *result.length == INT64_MAX) return std::nullopt;
  }
  if (range == "*") return result.length ? std::optional(result) : std::nullopt;
  const std::size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_position(range.substr(0, dash));
  const auto last = parse_position(range.substr(dash + 1));
  if (!first || !last || *last < *first || *last == INT64_MAX) return std::nullopt;
  if (result.length && *last >= *result.length) return std::nullopt;
  result.range = ByteRange{.first = *first, .last = *last};
  return result;
}

std::string content_range_text(const ContentRange& content_range) {
  std::string text = "bytes ";
  if (content_range.range) {
    text += std::to_string(content_range.range->first);
    text += '-';
    text += std::to_string(content_range.range->last);
  } else {
    text += '*';
  }
  text += '/';
  text += content_range.length ? std::to_string(*content_range.length) : "*";
  return text;
}

std::string range_text(ByteRange range) {
  return "bytes=" + std::to_string(range.first) + "-" + std::to_string(range.last);
}

bool if_range_holds(std::string_view if_range, std::string_view etag,
                    std::string_view last_modified, std::string_view date, base::WallTime now) {
  if (const auto wanted = parse_entity_tag(if_range)) {
    const auto have = parse_entity_tag(etag);
    return have && same_strongly(*wanted, *have);
  }
  const auto wanted = parse_date(if_range, now);
  const auto have = parse_date(last_modified, now);
  return wanted && have && *wanted == *have && is_strong_last_modified(last_modified, date, now);
}

}  // namespace larder::http
