// Files of state: read with a bound, written so that a crash leaves the old content or the new one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace larder::base {

// The whole file; ResourceExhausted when it is larger than `limit` bytes.
Result<std::string> read_file(const std::string& path, std::uint64_t limit);

// Writes a temporary file beside `path` with `mode` from the first byte on, syncs it, renames it
// over `path` and syncs the folder.
Status write_file_atomically(const std::string& path, std::string_view content, mode_t mode);

// Syncs `path`, open as `fd`, renames it over `target` and syncs the target's folder: after a crash
// the target is what it was or this file, whole.
Status put_in_place(int fd, const std::string& path, const std::string& target);

// What was created, renamed or removed in the folder survives a crash.
Status sync_folder(const std::string& folder);
// The same for the folder that `path` is in.
Status sync_folder_of(const std::string& path);

// Creates the folder and its missing parents; the last one gets `mode`. An existing folder is left
// as it is.
Status make_directories(const std::string& path, mode_t mode);

// Writes all bytes or fails.
Status write_all(int fd, std::string_view content);

// Opens (creating it) and locks a file for the life of the returned descriptor. FailedPrecondition
// when another process holds the lock: the message names `what`.
Result<UniqueFd> lock_file(const std::string& path, std::string_view what);

}  // namespace larder::base
