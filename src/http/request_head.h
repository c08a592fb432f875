// The head of a request (request line and fields), parsed strictly by RFC 9112 over the caller's
// buffer. No allocation, no copies: every text of a RequestHead points into that buffer and lives
// as long as it does. Whatever two HTTP implementations could read differently is refused.
//
//   RequestHead head;                       // 4 KiB: keep one per thread, it is filled anew
//   const HeadParse parse = parse_request_head(received, head);
//   if (parse.state == HeadParse::State::Complete) ... received.substr(parse.consumed) is the body
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/field_name.h"

namespace larder::http {

inline constexpr std::size_t kMostFields = 100;

// Bytes and counts; docs/limits.md has them all.
struct HeadLimits {
  std::size_t head = 32768;
  std::size_t target = 8192;
  std::size_t fields = kMostFields;  // at most kMostFields
};

enum class Method : std::uint8_t {
  Get,
  Head,
  Post,
  Put,
  Delete,
  Connect,
  Options,
  Trace,
  Patch,
  Other
};

// RFC 9112 section 3.2. Authority only with CONNECT, Asterisk only with OPTIONS.
enum class TargetForm : std::uint8_t { Origin, Absolute, Authority, Asterisk };

struct HeadField {
  std::string_view name{};   // as sent
  std::string_view value{};  // without whitespace around it
  FieldName id = FieldName::Other;
};

struct RequestHead {
  Method method = Method::Other;
  std::string_view method_text;

  std::string_view target;  // raw
  TargetForm form = TargetForm::Origin;
  std::string_view scheme;     // absolute-form: "http" or "https" in the sender's case; else empty
  std::string_view authority;  // absolute-form and authority-form, raw, not yet judged; else empty
  std::string_view path;       // origin- and absolute-form: raw, begins with '/'; else empty
  std::string_view query;      // raw, without the '?'
  bool has_query = false;      // "/a?" has an empty one, "/a" none

  int version_minor = 1;  // 0 or 1: later minor versions are read as 1 (RFC 9110 section 2.5)

  std::array<HeadField, kMostFields> fields;
  std::size_t field_count = 0;
  std::uint64_t present = 0;  // bit() of every known name among the fields

  std::optional<std::string_view> host;  // the one Host field; always there in HTTP/1.1
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;        // may the connection stay open after the answer
  bool expect_continue = false;  // an HTTP/1.1 client waits for 100 before it sends the body

  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
  bool has(FieldName name) const { return (present & bit(name)) != 0; }

  // Value of the first or last field of that name; empty when absent. Fields that may be sent
  // several times by broken clients (Range: the Delivery Optimization client appends one more at
  // each retry, and means the last) are read with last_field.
  std::string_view field(FieldName name) const;
  std::string_view last_field(FieldName name) const;
  // By text, in any case: for names without a FieldName.
  std::string_view field(std::string_view name) const;
  std::string_view last_field(std::string_view name) const;
  std::size_t count(FieldName name) const;
  std::size_t count(std::string_view name) const;
};

struct HeadParse {
  enum class State : std::uint8_t { NeedMore, Complete, Bad };
  State state = State::NeedMore;
  std::size_t consumed = 0;  // Complete: bytes of the head with its empty line
  // Bad: status to answer with before closing (400, 414, 417, 431, 501, 505), and a fixed sentence.
  int status = 0;
  std::string_view reason{};
};

// Parses from the start of `buffer`, which holds what was received so far and may go on after the
// head. NeedMore: call again with a longer buffer; `out` is then unspecified. The result does not
// depend on how the bytes were cut. Up to four empty lines before the request line are skipped
// (RFC 9112 section 2.2).
HeadParse parse_request_head(std::string_view buffer, RequestHead& out,
                             const HeadLimits& limits = {});

}  // namespace larder::http
