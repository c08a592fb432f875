// What a running download tells its caller.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace larder::agent {

struct Progress {
  std::string file;                    // its name
  std::string source;                  // where the bytes come from now: "node1", a host, "site"
  std::uint64_t done = 0;              // bytes of this file that are here
  std::uint64_t total = 0;             // bytes; 0: not known yet
  std::uint64_t bytes_per_second = 0;  // over the last seconds
  std::optional<std::chrono::seconds> remaining;
};

// Called on the thread that downloads; must not block for long.
class ProgressListener {
 public:
  virtual ~ProgressListener() = default;
  // At most about five times a second, and once at the end of each file.
  virtual void on_progress(const Progress& progress) = 0;
  // A source was given up; the download goes on with the next one, if there is one.
  virtual void on_source_failed(const std::string& source, const base::Error& error) = 0;
};

}  // namespace larder::agent
