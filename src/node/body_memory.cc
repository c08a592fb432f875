#include "node/body_memory.h"

namespace larder::node {

bool BodyMemory::Share::take(std::uint64_t bytes) {
  if (memory_.used_.fetch_add(bytes) + bytes > memory_.limit_) {
    memory_.used_ -= bytes;
    return false;
  }
  taken_ += bytes;
  return true;
}

}  // namespace larder::node
