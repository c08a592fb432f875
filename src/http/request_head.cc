#include "http/request_head.h"

#include <algorithm>

#include "http/characters.h"
#include "http/field_line.h"

namespace larder::http {

namespace {

constexpr std::size_t kLongestMethod = 32;
constexpr std::string_view kRootPath = "/";

HeadParse bad(int status, std::string_view reason) {
  return {.state = HeadParse::State::Bad, .status = status, .reason = reason};
}
constexpr HeadParse kNeedMore{};

Method method_of(std::string_view text) {
  switch (text.size()) {
    case 3:
      if (text == "GET") return Method::Get;
      if (text == "PUT") return Method::Put;
      break;
    case 4:
      if (text == "HEAD") return Method::Head;
      if (text == "POST") return Method::Post;
      break;
    case 5:
      if (text == "PATCH") return Method::Patch;
      if (text == "TRACE") return Method::Trace;
      break;
    case 6:
      if (text == "DELETE") return Method::Delete;
      break;
    case 7:
      if (text == "CONNECT") return Method::Connect;
      if (text == "OPTIONS") return Method::Options;
      break;
    default:
      break;
  }
  return Method::Other;
}

// Splits "path?query".
void split_path(std::string_view text, RequestHead& out) {
  const std::size_t question = text.find('?');
  out.path = text.substr(0, question);
  if (out.path.empty()) out.path = kRootPath;
  out.has_query = question != std::string_view::npos;
  out.query = out.has_query ? text.substr(question + 1) : std::string_view{};
}

// Sets form and parts of out.target; false when method and target do not belong together or the
// target has no known form.
bool split_target(RequestHead& out) {
  const std::string_view target = out.target;
  out.scheme = {};
  out.authority = {};
  out.path = {};
  out.query = {};
  out.has_query = false;
  if (out.method == Method::Connect) {
    out.form = TargetForm::Authority;
    out.authority = target;
    return target.find_first_of("/?@") == std::string_view::npos;
  }
  if (target[0] == '/') {
    out.form = TargetForm::Origin;
    split_path(target, out);
    return true;
  }
  if (target == "*") {
    out.form = TargetForm::Asterisk;
    return out.method == Method::Options;
  }
  const std::size_t colon = target.find("://");
  if (colon == std::string_view::npos) return false;
  out.form = TargetForm::Absolute;
  out.scheme = target.substr(0, colon);
  if (!same_ignoring_case(out.scheme, "http") && !same_ignoring_case(out.scheme, "https")) {
    return false;
  }
  const std::string_view rest = target.substr(colon + 3);
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  out.authority = rest.substr(0, end);
  split_path(rest.substr(end), out);
  return !out.authority.empty() && out.authority.find('@') == std::string_view::npos;
}

// Reads "HTTP/1.1 CRLF" at the start of `text`; sets `position` after it.
HeadParse read_version(std::string_view text, std::size_t& position, RequestHead& out) {
  constexpr std::string_view kPattern = "HTTP/d.d\r\n";
  for (std::size_t i = 0; i < kPattern.size(); ++i) {
    if (i == text.size()) return kNeedMore;
    const bool matches = kPattern[i] == 'd' ? is_class(text[i], kDigit) : text[i] == kPattern[i];
    if (!matches) return bad(400, "malformed request line");
  }
  if (text[5] != '1') return bad(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  out.version_minor = text[7] == '0' ? 0 : 1;
  position += kPattern.size();
  return {.state = HeadParse::State::Complete};
}

HeadParse read_request_line(std::string_view text, std::size_t& position, const HeadLimits& limits,
                            RequestHead& out) {
  std::size_t i = position;
  while (i < text.size() && is_class(text[i], kToken)) {
    if (i - position == kLongestMethod) return bad(501, "unknown method");
    ++i;
  }
  if (i == text.size()) return kNeedMore;
  if (text[i] != ' ' || i == position) return bad(400, "malformed request line");
  out.method_text = text.substr(position, i - position);
  out.method = method_of(out.method_text);

  const std::size_t start = ++i;
  while (i < text.size() && is_class(text[i], kTarget)) {
    if (i - start == limits.target) return bad(414, "request target too long");
    ++i;
  }
  if (i == text.size()) return kNeedMore;
  if (text[i] != ' ' || i == start) return bad(400, "malformed request target");
  out.target = text.substr(start, i - start);
  if (!split_target(out)) return bad(400, "unknown form of request target");
  position = i + 1;
  return read_version(text.substr(position), position, out);
}

// What the fields say about framing and the connection, judged when all of them are known.
struct Facts {
  std::size_t transfer_encodings = 0;
  bool close = false;
  bool keep_alive = false;
};

// Empty, or the refusal of this field.
HeadParse take_field(const HeadField& field, Facts& facts, RequestHead& out) {
  constexpr HeadParse kFine{.state = HeadParse::State::Complete};
  switch (field.id) {
    case FieldName::Host:
      if (out.host) return bad(400, "more than one Host field");
      out.host = field.value;
      return kFine;
    case FieldName::ContentLength: {
      const auto length = parse_content_length(field.value);
      if (!length) return bad(400, "malformed Content-Length");
      // RFC 9110 section 8.6 allows to read equal ones as one; nobody sends them in good faith.
      if (out.content_length) return bad(400, "more than one Content-Length field");
      out.content_length = length;
      return kFine;
    }
    case FieldName::TransferEncoding:
      if (++facts.transfer_encodings > 1) return bad(400, "more than one Transfer-Encoding field");
      switch (parse_transfer_encoding(field.value)) {
        case TransferCoding::Chunked:
          out.chunked = true;
          return kFine;
        case TransferCoding::Unknown:
          return bad(501, "unknown transfer coding");
        case TransferCoding::Bad:
          break;
      }
      return bad(400, "malformed Transfer-Encoding");
    case FieldName::Connection: {
      std::string_view list = field.value;
      std::string_view option;
      while (next_list_element(list, option)) {
        facts.close = facts.close || same_ignoring_case(option, "close");
        facts.keep_alive = facts.keep_alive || same_ignoring_case(option, "keep-alive");
      }
      return kFine;
    }
    case FieldName::Expect:
      if (!same_ignoring_case(field.value, "100-continue")) return bad(417, "unknown expectation");
      out.expect_continue = true;
      return kFine;
    default:
      return kFine;
  }
}

HeadParse judge(const Facts& facts, RequestHead& out) {
  if (out.version_minor == 1 && !out.host) return bad(400, "no Host field");
  if (out.chunked && out.content_length) {
    return bad(400, "both Transfer-Encoding and Content-Length");
  }
  if (out.chunked && out.version_minor == 0) return bad(400, "Transfer-Encoding in HTTP/1.0");
  out.keep_alive = !facts.close && (out.version_minor == 1 || facts.keep_alive);
  out.expect_continue = out.expect_continue && out.version_minor == 1;
  return {.state = HeadParse::State::Complete};
}

// Before a request line: clients of old end a body with one that belongs to nothing.
constexpr std::size_t kMostEmptyLines = 4;

HeadParse parse_within(std::string_view text, RequestHead& out, const HeadLimits& limits) {
  std::size_t position = 0;
  while (position < 2 * kMostEmptyLines && position < text.size() && text[position] == '\r') {
    if (text.size() == position + 1) return kNeedMore;
    if (text[position + 1] != '\n') return bad(400, "bare CR");
    position += 2;
  }
  HeadParse step = read_request_line(text, position, limits, out);
  if (step.state != HeadParse::State::Complete) return step;

  out.field_count = 0;
  out.present = 0;
  out.host.reset();
  out.content_length.reset();
  out.chunked = false;
  out.expect_continue = false;
  Facts facts;
  const std::size_t most = std::min(limits.fields, kMostFields);
  std::size_t range_at = 0;
  while (true) {
    const FieldLine line = read_field_line(text.substr(position));
    if (line.state == FieldLine::State::NeedMore) return kNeedMore;
    if (line.state == FieldLine::State::Bad) return bad(400, line.reason);
    position += line.consumed;
    if (line.state == FieldLine::State::EndOfFields) break;
    const FieldName id = find_field_name(line.name);
    // The Delivery Optimization client appends one more Range at each retry, and means the last.
    if (id == FieldName::Range && out.has(id)) {
      out.fields[range_at].value = line.value;
      continue;
    }
    if (out.field_count == most) return bad(431, "too many fields");
    if (id == FieldName::Range) range_at = out.field_count;
    HeadField& field = out.fields[out.field_count++];
    field = {.name = line.name, .value = line.value, .id = id};
    out.present |= bit(field.id);
    step = take_field(field, facts, out);
    if (step.state == HeadParse::State::Bad) return step;
  }
  step = judge(facts, out);
  step.consumed = position;
  return step;
}

}  // namespace

HeadParse parse_request_head(std::string_view buffer, RequestHead& out, const HeadLimits& limits) {
  // Judging only the part within the limit makes the answer independent of how much has arrived.
  const HeadParse parse = parse_within(buffer.substr(0, limits.head), out, limits);
  if (parse.state == HeadParse::State::NeedMore && buffer.size() >= limits.head) {
    return bad(431, "request head too large");
  }
  return parse;
}

std::string_view RequestHead::field(FieldName name) const {
  if (!has(name)) return {};
  for (std::size_t i = 0; i < field_count; ++i) {
    if (fields[i].id == name) return fields[i].value;
  }
  return {};
}

std::string_view RequestHead::last_field(FieldName name) const {
  if (!has(name)) return {};
  for (std::size_t i = field_count; i > 0; --i) {
    if (fields[i - 1].id == name) return fields[i - 1].value;
  }
  return {};
}

std::string_view RequestHead::field(std::string_view name) const {
  for (std::size_t i = 0; i < field_count; ++i) {
    if (same_ignoring_case(fields[i].name, name)) return fields[i].value;
  }
  return {};
}

std::string_view RequestHead::last_field(std::string_view name) const {
  for (std::size_t i = field_count; i > 0; --i) {
    if (same_ignoring_case(fields[i - 1].name, name)) return fields[i - 1].value;
  }
  return {};
}

std::size_t RequestHead::count(FieldName name) const {
  std::size_t number = 0;
  for (std::size_t i = 0; has(name) && i < field_count; ++i) number += fields[i].id == name;
  return number;
}

std::size_t RequestHead::count(std::string_view name) const {
  std::size_t number = 0;
  for (std::size_t i = 0; i < field_count; ++i) number += same_ignoring_case(fields[i].name, name);
  return number;
}

}  // namespace larder::http
