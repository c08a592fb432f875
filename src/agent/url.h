// The parts of an http or https URL that a download needs. Pure; private to this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace larder::agent {

struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; IPv6 with brackets
  std::string port;    // empty: the scheme's own
  std::string target;  // path and query as given, beginning with "/"

  std::string text() const;
};

// InvalidArgument for other schemes, user information, and what is no URL. The fragment is dropped.
base::Result<Url> parse_url(std::string_view text);

// The same object asked from a cache node, as Delivery Optimization clients ask: the cache's host
// (and port, when it has one, else the origin's), and the origin's host without port as the last
// query parameter, `cacheHostOrigin`.
base::Result<Url> through_cache(const Url& origin, std::string_view cache_host);

// Where `location` of an answer to a request for `base` leads. InvalidArgument when it is no http
// URL or leads from https to http.
base::Result<Url> follow(const Url& base, std::string_view location);

// The last segment of the path, when it may name a file here.
std::optional<std::string> file_name_of(const Url& url);

}  // namespace larder::agent
