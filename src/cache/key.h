// The full text that names a cached representation:
//
//     scheme LF host[:port] LF path[?query]
//
// Scheme is part of it: bytes that came over HTTP never answer a request that wants HTTPS. None of
// the parts can contain LF. The store's keyed hash of this text finds an object; the text itself is
// kept in the object's metadata and compared before serving.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace larder::cache {

struct KeyParts {
  bool https = false;        // of the connection to the origin
  std::string_view host{};   // canonical: http::Authority::host(), or the origin's canonical alias
  std::uint16_t port = 0;    // 0 or the scheme's default: left out
  std::string_view path{};   // raw, as it is sent to the origin
  std::string_view query{};  // raw
  bool has_query = false;
  // Names of query parameters that do not choose the representation (signatures), exact spelling.
  std::span<const std::string> ignored_parameters{};
  // Parameters in another order choose the same representation; those of one name keep theirs.
  bool sort_parameters = false;
};

// Replaces the content of `out`, whose capacity is reused. True when a parameter was left out: then
// only successful answers may be shared under this key (StorePolicy::key_is_stripped).
bool write_key(std::string& out, const KeyParts& parts);

}  // namespace larder::cache
