// An answer on its way to one client: a head, then bytes.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "http/response_head.h"
#include "net/task.h"

namespace larder::cache {

// Used on one loop. Each wait ends at the deadline with DeadlineExceeded; other errors are the
// origin's.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual net::Task<base::Result<http::ResponseHead>> head(base::SteadyTime deadline) = 0;
  // The next bytes; empty at the end of the body.
  virtual net::Task<base::Result<std::string>> read(base::SteadyTime deadline) = 0;
  // The client is gone.
  virtual void abandon() = 0;
};

}  // namespace larder::cache
