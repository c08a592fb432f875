// Tokens and passwords go in and out by file, standard input, environment or (once) standard
// output, never as an argument: arguments can be seen by every user of the machine and stay in
// shell histories.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace larder::cli {

// From the file ("-": standard input), else from the environment variable, else from standard input
// when that is not a terminal. Without the line's end and the mark at the beginning that Windows
// writes, UTF-16 as UTF-8; at most 64 KiB; never empty.
base::Result<std::string> read_secret(const std::string& file, const char* environment_name);

// To a new 0600 file, or, when `file` is empty, to standard output as one line.
base::Status write_secret(const std::string& file, std::string_view secret);

}  // namespace larder::cli
