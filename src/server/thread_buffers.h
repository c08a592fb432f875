// Where a loop's thread receives and parses requests: one for all its connections, because an idle
// one must not hold memory. What lies here is another connection's after the next wait.
#pragma once

#include <cstddef>
#include <memory>

#include "http/request_head.h"

namespace larder::server {

struct ThreadBuffers {
  char received[64 * 1024];
  http::RequestHead head;
};

inline ThreadBuffers& thread_buffers() {
  thread_local const auto instance = std::make_unique<ThreadBuffers>();
  return *instance;
}

}  // namespace larder::server
