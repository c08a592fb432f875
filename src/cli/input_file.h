// Files that a person hands to a command. Reading never hangs: what is neither a file nor a pipe
// with somebody at its other end is refused.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace larder::cli {

struct PipePatience {
  std::chrono::milliseconds beginning{2'000};  // for the first byte, while nobody writes
  std::chrono::milliseconds whole{60'000};
};

// A regular file; a pipe, as a shell makes of <(command); "-": standard input, whatever it is and
// however long it takes. ResourceExhausted above `limit` bytes; InvalidArgument, with what to do,
// for folders and devices; DeadlineExceeded for a pipe that nobody writes to, or not to its end.
base::Result<std::string> read_input(const std::string& path, std::uint64_t limit,
                                     const PipePatience& patience = {});

}  // namespace larder::cli
