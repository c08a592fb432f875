// The Cache-Status field (RFC 9211): what this cache did, and what caches nearer to the origin said
// that they did, for people and tools.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/response_head.h"

namespace larder::cache {

enum class Forwarded { No, Bypass, Method, UriMiss, VaryMiss, Miss, Request, Stale, Partial };

struct CacheStatus {
  Forwarded forwarded = Forwarded::No;                 // No: a hit
  std::optional<int> forward_status{};                 // of the origin's answer
  std::optional<std::chrono::seconds> time_to_live{};  // negative: stale for so long
  bool stored = false;
  bool collapsed = false;     // waited for another request's fill
  std::string_view detail{};  // printable ASCII; left out when it has anything else
};

// "larder; hit; ttl=3600" into `buffer`; parts that do not fit are left out.
std::string_view write_cache_status(std::span<char> buffer, const CacheStatus& status);

// Longest text of other caches that is passed on, in bytes.
inline constexpr std::size_t kLongestUpstreamStatus = 1024;

// What caches on the way from the origin said of a response, as one line, the one closest to the
// origin first: this node's own member goes behind it. Without `key` parameters, which hold what
// another client asked for, with the secrets of a signed URL. Empty when there is none, when it is
// no list of strings and tokens, or when it is too long.
std::string upstream_cache_status(const http::ResponseHead& response);

// What a node says in `detail` of the 502 to a request that came back to it.
inline constexpr std::string_view kLoopDetail = "loop";
// The nearest cache answered that. Its answer is to the way of that very request: others may get
// through.
bool is_loop_answer(const http::ResponseHead& response);

// The member that the nearest cache wrote, the last. Empty when the text is no list.
std::string_view nearest_cache_status(std::string_view text);

}  // namespace larder::cache
