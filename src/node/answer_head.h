// Writes the heads of a node's answers. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache_status.h"
#include "http/conditional.h"
#include "http/range.h"
#include "http/request_head.h"
#include "node/stored_object.h"

namespace larder::node {

// Longest head of an answer, in bytes.
inline constexpr std::size_t kHeadSize = 64 * 1024;

// A buffer of this thread for one head, until its next use.
std::span<char> head_buffer();

// What is sent of a stored object for a request: status and bytes.
struct Selection {
  // 200 (or the stored status), 206, 304, 416; 412: a condition that only the origin may judge does
  // not hold for what is stored, so the request is to be forwarded (RFC 9111 section 4.3.2).
  int status = 200;
  std::uint64_t first = 0;
  std::uint64_t length = 0;  // 0: no body
  // Of a 206 with several ranges, two at least; first and length then say nothing.
  std::vector<http::ByteRange> parts{};
};
Selection select(const http::RequestHead& request, const StoredObject& stored, base::WallTime now);
bool is_here(const StoredObject& stored, const Selection& selection);
// Whether the parts of a selection can be sent: all are stored, or slices can be fetched by
// themselves. In one response a part far behind would keep the client waiting.
bool can_send_parts(const StoredObject& stored, const Selection& selection, bool is_seekable);

struct AnswerFacts {
  std::string_view date;        // of now, for own answers
  std::chrono::seconds age{0};  // 0 for what is passed on: as the origin said
  cache::CacheStatus cache_status;
  std::string_view request_id;
  http::Appearance appearance = http::Appearance::AsOrigin;
  bool close = false;
  bool head_only = false;  // the request was HEAD: an own answer is sent without its line
  int version_minor = 1;
};
// multipart/byteranges (RFC 9110 section 14.6): what goes before each part, what goes behind the
// last one, and the length of all.
struct MultipartFrame {
  std::string boundary;  // occurs nowhere else: a number that nobody can know before
  std::vector<std::string> heads;
  std::string end;
  std::uint64_t length = 0;
};
MultipartFrame frame_parts(const StoredObject& stored, const Selection& selection,
                           std::string_view boundary);
std::string_view write_multipart_head(std::span<char> buffer, const StoredObject& stored,
                                      const MultipartFrame& frame, const AnswerFacts& facts);

// Empty when the head does not fit.
std::string_view write_stored_head(std::span<char> buffer, const StoredObject& stored,
                                   const Selection& selection, const AnswerFacts& facts);

// How the body of an origin's answer is passed on.
struct PassedBody {
  int status = 200;                       // of what is sent: 206 also where the origin sent all
  std::optional<std::uint64_t> length{};  // of what the origin sends
  std::optional<http::ByteRange> cut{};   // what is sent of that
  bool chunked = false;
};
// The head of an answer that was asked for one client, from `host`. Empty when it does not fit.
std::string_view write_passed_head(std::span<char> buffer, const http::ResponseHead& answer,
                                   const PassedBody& body, std::string_view host,
                                   const AnswerFacts& facts);

// The line "Retry-After" for an answer of the node's own in the place of one of the origin's, in
// seconds; empty when that says nothing valid. At most a day: what asks for more ends no client's
// download for good.
std::string retry_after_line(const http::ResponseHead& answer, base::WallTime now);

// A short text of the node's own: one line, with Cache-Status when a cache was asked.
std::string write_own_answer(int status, std::string_view line, const AnswerFacts& facts,
                             std::string_view extra_lines = {});

}  // namespace larder::node
