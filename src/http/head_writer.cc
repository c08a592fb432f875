#include "http/head_writer.h"

#include <array>
#include <charconv>
#include <cstring>

#include "http/characters.h"
#include "http/field_line.h"

namespace larder::http {

void HeadWriter::put(std::string_view text) {
  if (failed_ || text.size() > buffer_.size() - length_) {
    failed_ = true;
    return;
  }
  if (!text.empty()) std::memcpy(buffer_.data() + length_, text.data(), text.size());
  length_ += text.size();
}

void HeadWriter::put(std::uint64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  put(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
}

void HeadWriter::status(int code) {
  put("HTTP/1.1 ");
  if (code < 100 || code > 599) failed_ = true;
  put(static_cast<std::uint64_t>(code));
  put(" ");
  put(reason_phrase(code));
  put("\r\n");
}

void HeadWriter::field(std::string_view name, std::string_view value) {
  if (!is_token(name) || !is_field_value(value)) failed_ = true;
  put(name);
  put(": ");
  put(value);
  put("\r\n");
}

void HeadWriter::field(std::string_view name, std::uint64_t value) {
  if (!is_token(name)) failed_ = true;
  put(name);
  put(": ");
  put(value);
  put("\r\n");
}

void HeadWriter::content_range(ByteRange range, std::optional<std::uint64_t> length) {
  put("Content-Range: bytes ");
  put(range.first);
  put("-");
  put(range.last);
  put("/");
  if (length) {
    put(*length);
  } else {
    put("*");
  }
  put("\r\n");
}

void HeadWriter::unsatisfied_range(std::uint64_t length) {
  put("Content-Range: bytes */");
  put(length);
  put("\r\n");
}

bool HeadWriter::finish() {
  put("\r\n");
  return !failed_;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 102:
      return "Processing";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

}  // namespace larder::http
