// The Cache-Status field (RFC 9211): what this cache did, for people and tools.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>

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

}  // namespace larder::cache
