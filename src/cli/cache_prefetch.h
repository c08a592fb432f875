// `larder cache prefetch`: asks the running node for objects as a client would, piece by piece, so
// that they are stored before anybody needs them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/common_options.h"

namespace larder::cli {

struct PrefetchOptions : CommonOptions {
  std::vector<std::string> urls;
  std::string list;  // file with a URL per line; "-": standard input
  std::string rate;  // bytes a second from origins, all together, like "10MB"; empty: no limit
  std::int64_t parallel = 4;  // URLs at a time
};

int prefetch(const PrefetchOptions& options);

// The URLs of a list: a line each, without surrounding spaces; empty lines and those that begin
// with # are left out, and so is a byte order mark. The error names the lines that are no URLs as
// those of `name`.
base::Result<std::vector<std::string>> parse_url_list(std::string_view text,
                                                      const std::string& name);

}  // namespace larder::cli
