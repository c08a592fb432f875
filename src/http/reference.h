// Where a Location leads (RFC 9110 section 10.2.2, RFC 3986 section 5.2). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/target.h"

namespace larder::http {

struct HttpAddress {
  bool https = false;
  Authority authority;
  std::string target;  // origin-form, without fragment
};

// `reference` as it stands in the answer to `https`://`authority``target`. Nothing for other
// schemes, user information, and whatever could not stand in a request line.
std::optional<HttpAddress> resolve_reference(const HttpAddress& base, std::string_view reference);

// The origin-form of a reference that leads to the scheme and host of its base; nothing when it
// leads elsewhere. A port must be the base's or the scheme's own.
std::optional<std::string> resolve_same_origin(const HttpAddress& base, std::string_view reference);

// A Location that stays below the same authority, for a client that named the origin `host` by the
// parameter cacheHostOrigin: with that parameter, else the client would ask the node itself.
// Others come back as they are.
std::string with_cache_host_origin(std::string_view location, std::string_view host);

// `path` with needless percent-encoding undone: letters, digits, '-', '_' and '~' stand for
// themselves and the digits of other escapes are upper case (RFC 9110 section 4.2.3). Dots stay
// encoded: "%2e%2e" is a name to some origins and a way up to others. A path with a malformed
// escape stays as it is. A view of `path` when nothing changes, else of `scratch`.
std::string_view normal_path(std::string_view path, std::string& scratch);

}  // namespace larder::http
