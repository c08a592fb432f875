#include "http/response_head.h"

#include <algorithm>

#include "http/characters.h"
#include "http/field_line.h"

namespace larder::http {

namespace {

constexpr int kMostInterimResponses = 8;

std::unexpected<base::Error> refuse(std::string_view reason) {
  return base::fail(base::ErrorCode::InvalidArgument, "origin's response: " + std::string(reason));
}

bool is_multipart(const ResponseHead& head) {
  const std::string_view type = head.field(FieldName::ContentType);
  return same_ignoring_case(type.substr(0, type.find_first_of("; \t")), "multipart/byteranges");
}

}  // namespace

std::string_view ResponseHead::field(FieldName name) const {
  for (const ResponseField& field : fields) {
    if (field.id == name) return field.value;
  }
  return {};
}

std::string_view ResponseHead::field(std::string_view name) const {
  for (const ResponseField& field : fields) {
    if (same_ignoring_case(field.name, name)) return field.value;
  }
  return {};
}

std::size_t ResponseHead::count(FieldName name) const {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(),
                    [name](const ResponseField& field) { return field.id == name; }));
}

base::Status ResponseHeadReader::add_line(std::string_view line) {
  if (complete_) return refuse("a line after the head");
  bytes_ += line.size();
  if (bytes_ > limits_.head) return refuse("head too large");
  if (!has_status_line_) return add_status_line(line);
  if (line == "\r\n") return finish();
  return add_field(line);
}

base::Status ResponseHeadReader::add_status_line(std::string_view line) {
  // "HTTP/1.1 200 OK", "HTTP/1.1 200 ", and, as libcurl writes other versions, "HTTP/2 200 ". A
  // missing space after the code is common and harmless.
  constexpr std::string_view kProtocol = "HTTP/";
  if (!line.starts_with(kProtocol) || !line.ends_with("\r\n")) return refuse("no status line");
  line = line.substr(kProtocol.size(), line.size() - kProtocol.size() - 2);
  if (!is_field_value(line)) return refuse("control character in the status line");
  const std::string_view version = line.substr(0, line.find(' '));
  head_ = {};
  if (version == "1.1" || version == "1.0") {
    head_.version_minor = version[2] - '0';
  } else if (version == "2" || version == "3") {
    head_.version_major = version[0] - '0';
    head_.version_minor = 0;
  } else {
    return refuse("unknown version of HTTP");
  }
  line.remove_prefix(std::min(version.size() + 1, line.size()));
  const std::string_view code = line.substr(0, line.find(' '));
  if (code.size() != 3 || !all_of_class(code, kDigit)) return refuse("malformed status");
  head_.status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  if (head_.status < 100 || head_.status > 599) return refuse("status outside 100-599");
  transfer_encodings_ = 0;
  has_status_line_ = true;
  return {};
}

base::Status ResponseHeadReader::add_field(std::string_view line) {
  const FieldLine parsed = read_field_line(line);
  if (parsed.state == FieldLine::State::Bad) return refuse(parsed.reason);
  if (parsed.state != FieldLine::State::Field || parsed.consumed != line.size()) {
    return refuse("not one field line");
  }
  if (head_.fields.size() == std::min(limits_.fields, kMostFields)) {
    return refuse("too many fields");
  }
  const FieldName id = find_field_name(parsed.name);
  if (id == FieldName::ContentLength) {
    const auto length = parse_content_length(parsed.value);
    if (!length) return refuse("malformed Content-Length");
    if (head_.content_length && *head_.content_length != *length) {
      return refuse("two different Content-Length fields");
    }
    head_.content_length = length;
  } else if (id == FieldName::TransferEncoding) {
    if (++transfer_encodings_ > 1 ||
        parse_transfer_encoding(parsed.value) != TransferCoding::Chunked) {
      return refuse("unknown Transfer-Encoding");
    }
    head_.chunked = true;
  }
  head_.fields.push_back(
      {.name = std::string(parsed.name), .value = std::string(parsed.value), .id = id});
  return {};
}

base::Status ResponseHeadReader::finish() {
  if (head_.status == 101) return refuse("a change of protocol that nobody asked for");
  if (head_.status < 200) {
    if (++interim_responses_ > kMostInterimResponses) return refuse("too many interim responses");
    has_status_line_ = false;
    interim_ = std::move(head_);
    return {};
  }
  if (head_.chunked && head_.content_length) {
    return refuse("both Transfer-Encoding and Content-Length");
  }
  if (head_.chunked && (head_.version_major != 1 || head_.version_minor == 0)) {
    return refuse("Transfer-Encoding in a version that has none");
  }
  const bool partial = head_.status == 206;
  if (partial || head_.status == 416) {
    const std::size_t count = head_.count(FieldName::ContentRange);
    const bool has_parts = partial && takes_parts_ && count == 0 && is_multipart(head_);
    if (count > 1 || (partial && count == 0 && !has_parts)) return refuse("not one Content-Range");
    if (count == 1) {
      head_.content_range = parse_content_range(head_.field(FieldName::ContentRange));
      if (!head_.content_range || head_.content_range->range.has_value() != partial) {
        return refuse("malformed Content-Range");
      }
    }
    if (partial && !has_parts && head_.content_length &&
        *head_.content_length != head_.content_range->range->length()) {
      return refuse("Content-Range and Content-Length disagree");
    }
  }
  complete_ = true;
  return {};
}

base::Result<ResponseHead> parse_response_head(std::string_view text, const HeadLimits& limits) {
  ResponseHeadReader reader(limits);
  while (!text.empty() && !reader.is_complete()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    LARDER_TRY(reader.add_line(text.substr(0, end + 1)));
    text.remove_prefix(end + 1);
  }
  if (!reader.is_complete()) return refuse("head is not complete");
  if (!text.empty()) return refuse("bytes after the head");
  return reader.take();
}

}  // namespace larder::http
