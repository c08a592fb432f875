#include "node/answer_head.h"

#include <algorithm>
#include <array>

#include "cache/generation.h"
#include "http/cache_control.h"
#include "http/date.h"
#include "http/forwarding.h"
#include "http/head_writer.h"
#include "http/reference.h"
#include "http/retry_after.h"

namespace larder::node {

namespace {

constexpr std::chrono::seconds kLongestWait = std::chrono::hours(24);

}  // namespace

std::span<char> head_buffer() {
  thread_local std::array<char, kHeadSize> buffer;
  return buffer;
}

namespace {

Selection select_parts(const Selection& whole, std::string_view range, std::uint64_t length) {
  http::RangesAnswer answer = http::resolve_ranges(range, length);
  switch (answer.kind) {
    case http::RangeAnswer::Kind::Whole:
      break;
    case http::RangeAnswer::Kind::Unsatisfiable:
      return {416, 0, 0};
    case http::RangeAnswer::Kind::Partial:
      if (answer.parts.size() > 1) return {206, 0, 0, std::move(answer.parts)};
      return {206, answer.parts.front().first, answer.parts.front().length()};
  }
  return whole;
}

}  // namespace

Selection select(const http::RequestHead& request, const StoredObject& stored, base::WallTime now) {
  const std::uint64_t length = stored.object->length();
  Selection selection{stored.response.status, 0, length};
  if (stored.response.status != 200) return selection;
  http::Validators validators{stored.response.etag(), stored.response.last_modified()};
  std::string date;
  if (validators.last_modified.empty() && request.has(http::FieldName::IfModifiedSince)) {
    date = http::date_text(stored.response.date);  // RFC 9111 section 4.3.2
    validators.last_modified = date;
  }
  switch (http::evaluate_preconditions(request, validators, true, now)) {
    case http::Precondition::NotModified:
      return {304, 0, 0};
    case http::Precondition::Failed:
      return {412, 0, 0};
    case http::Precondition::Pass:
      break;
  }
  if (request.method != http::Method::Get || !request.has(http::FieldName::Range)) return selection;
  if (request.has(http::FieldName::IfRange) &&
      !cache::if_range_holds(stored.response, request.field(http::FieldName::IfRange), now)) {
    return selection;
  }
  const std::string_view range = request.last_field(http::FieldName::Range);
  if (range.find(',') != std::string_view::npos) return select_parts(selection, range, length);
  const http::RangeAnswer answer = http::resolve_range(http::parse_range(range), length);
  switch (answer.kind) {
    case http::RangeAnswer::Kind::Whole:
      return selection;
    case http::RangeAnswer::Kind::Partial:
      return {206, answer.range.first, answer.range.length()};
    case http::RangeAnswer::Kind::Unsatisfiable:
      return {416, 0, 0};
  }
  return selection;
}

bool can_send_parts(const StoredObject& stored, const Selection& selection, bool is_seekable) {
  if (is_seekable && stored.response.generation.kind != cache::GenerationKind::SingleResponse) {
    return true;
  }
  return is_here(stored, selection);
}

bool is_here(const StoredObject& stored, const Selection& selection) {
  if (selection.parts.empty()) {
    return selection.length == 0 || stored.object->has_range(selection.first, selection.length);
  }
  return std::ranges::all_of(selection.parts, [&](const http::ByteRange& part) {
    return stored.object->has_range(part.first, part.length());
  });
}

namespace {

// What follows the fields that depend on the selection.
void write_common(http::HeadWriter& head, const AnswerFacts& facts) {
  if (!facts.request_id.empty()) head.field("X-Request-Id", facts.request_id);
  if (facts.close) {
    head.field("Connection", "close");
  } else if (facts.version_minor == 0) {
    head.field("Connection", "keep-alive");
  }
}

void write_cache_facts(http::HeadWriter& head, const StoredObject& stored,
                       const AnswerFacts& facts) {
  head.lines("Accept-Ranges: bytes\r\nVia: 1.1 larder\r\n");
  head.field("Age", static_cast<std::uint64_t>(std::max<std::int64_t>(0, facts.age.count())));
  std::array<char, 256> status{};
  head.lines(stored.cache_status);
  head.lines(cache::write_cache_status(status, facts.cache_status));
  head.lines("\r\n");
  write_common(head, facts);
}

}  // namespace

std::string_view write_stored_head(std::span<char> buffer, const StoredObject& stored,
                                   const Selection& selection, const AnswerFacts& facts) {
  http::HeadWriter head(buffer);
  head.status(selection.status);
  head.lines(stored.lines(facts.appearance));
  if (selection.status == stored.response.status) head.lines(stored.whole_lines);
  const std::uint64_t length = stored.object->length();
  if (selection.status == 206) {
    head.content_range({selection.first, selection.first + selection.length - 1}, length);
  } else if (selection.status == 416) {
    head.unsatisfied_range(length);
  }
  if (selection.status != 304 && selection.status != 204) {
    head.field("Content-Length", selection.length);
  }
  write_cache_facts(head, stored, facts);
  if (!head.finish()) return {};
  return head.text();
}

MultipartFrame frame_parts(const StoredObject& stored, const Selection& selection,
                           std::string_view boundary) {
  MultipartFrame frame;
  frame.boundary = boundary;
  const std::string_view type = stored.response.field(http::FieldName::ContentType);
  for (const http::ByteRange& part : selection.parts) {
    std::string head = "\r\n--" + frame.boundary + "\r\n";
    if (!type.empty()) head.append("Content-Type: ").append(type).append("\r\n");
    head += "Content-Range: " + http::content_range_text({part, stored.object->length()});
    head += "\r\n\r\n";
    frame.length += head.size() + part.length();
    frame.heads.push_back(std::move(head));
  }
  frame.end = "\r\n--" + frame.boundary + "--\r\n";
  frame.length += frame.end.size();
  return frame;
}

std::string_view write_multipart_head(std::span<char> buffer, const StoredObject& stored,
                                      const MultipartFrame& frame, const AnswerFacts& facts) {
  http::HeadWriter head(buffer);
  head.status(206);
  head.lines(lines_without_type(stored, facts.appearance));
  head.field("Content-Type", "multipart/byteranges; boundary=" + frame.boundary);
  head.field("Content-Length", frame.length);
  write_cache_facts(head, stored, facts);
  if (!head.finish()) return {};
  return head.text();
}

std::string_view write_passed_head(std::span<char> buffer, const http::ResponseHead& answer,
                                   const PassedBody& body, std::string_view host,
                                   const AnswerFacts& facts) {
  const bool as_node = facts.appearance == http::Appearance::AsNode;
  http::HeadWriter head(buffer);
  head.status(body.status);
  const std::string_view date = answer.field(http::FieldName::Date);
  // What cannot be read is as good as missing (RFC 9110 section 6.6.1, RFC 9111 section 5.1).
  head.field("Date", http::parse_date(date, base::WallTime{}) ? date : facts.date);
  for (const http::ResponseField& field : answer.fields) {
    if (!http::may_send_to_client(answer, field, facts.appearance)) continue;
    // The node makes another message of it.
    if (body.status != answer.status && http::is_of_one_message(field)) continue;
    if (field.id == http::FieldName::Location && as_node) {
      head.field("Location", http::with_cache_host_origin(field.value, host));
      continue;
    }
    head.field(http::canonical_name(field.name), field.value);
  }
  if (facts.age.count() > 0) {
    head.field("Age", static_cast<std::uint64_t>(facts.age.count()));
  } else if (const auto age = http::parse_age(answer.field(http::FieldName::Age))) {
    head.field("Age", static_cast<std::uint64_t>(age->count()));
  }
  if (as_node) {
    head.field("X-Content-Type-Options", "nosniff");
    head.field("Content-Security-Policy", "sandbox");
  }
  if (body.cut) {
    head.content_range(*body.cut, body.length);
  } else if (answer.content_range) {
    head.field("Content-Range", http::content_range_text(*answer.content_range));
  }
  if (body.chunked) {
    head.field("Transfer-Encoding", "chunked");
  } else if (body.length && body.status != 204 && body.status != 304) {
    head.field("Content-Length", body.cut ? body.cut->length() : *body.length);
  }
  if (body.length) head.field("Accept-Ranges", "bytes");
  head.field("Via", "1.1 larder");
  std::array<char, 256> own{};
  std::string status = cache::upstream_cache_status(answer);
  if (!status.empty()) status += ", ";
  head.field("Cache-Status", status.append(cache::write_cache_status(own, facts.cache_status)));
  write_common(head, facts);
  if (!head.finish()) return {};
  return head.text();
}

std::string retry_after_line(const http::ResponseHead& answer, base::WallTime now) {
  if (answer.count(http::FieldName::RetryAfter) != 1) return {};
  // A date is the origin's clock's, as its Date is.
  const auto sent = http::parse_date(answer.field(http::FieldName::Date), now);
  const auto wait =
      http::parse_retry_after(answer.field(http::FieldName::RetryAfter), sent.value_or(now));
  if (!wait) return {};
  return "Retry-After: " + std::to_string(std::min(*wait, kLongestWait).count()) + "\r\n";
}

std::string write_own_answer(int status, std::string_view line, const AnswerFacts& facts,
                             std::string_view extra_lines) {
  std::string buffer(8192, '\0');
  http::HeadWriter head(buffer);
  head.status(status);
  head.field("Date", facts.date);
  head.field("Content-Type", "text/plain; charset=utf-8");
  head.field("Content-Length", line.size() + 1);
  head.field("Cache-Control", "no-store");
  std::array<char, 256> text{};
  head.field("Cache-Status", cache::write_cache_status(text, facts.cache_status));
  head.lines(extra_lines);
  write_common(head, facts);
  if (!head.finish())
    return "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  std::string answer(head.text());
  if (!facts.head_only) answer += std::string(line) + "\n";
  return answer;
}

}  // namespace larder::node
