// Which connection of a loop has been idle longest. Costs requests nothing: it looks at the
// connections only when somebody asks, and remembers some of what it found. Belongs to its loop.
#pragma once

#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "server/connection.h"

namespace larder::server {

class IdleSearch {
 public:
  // Null when none is idle, or when that was found too short a time ago: looking through many takes
  // at most about a hundredth of the loop's time, however often it is asked for.
  Connection* longest_idle(const std::unordered_set<Connection*>& connections,
                           base::SteadyTime now);

 private:
  struct Found {
    base::SteadyTime since;
    Connection* connection;  // may be gone
  };
  std::vector<Found> found_;  // the one that has been idle longest last
  base::SteadyTime next_search_{};
};

}  // namespace larder::server
