#include "server/idle_search.h"

#include <algorithm>
#include <chrono>

namespace larder::server {

namespace {

constexpr std::size_t kMostRemembered = 1024;
// A hundred times what looking at one connection takes.
constexpr std::chrono::microseconds kPause{10};

}  // namespace

Connection* IdleSearch::longest_idle(const std::unordered_set<Connection*>& connections,
                                     base::SteadyTime now) {
  for (bool searched = false;; searched = true) {
    while (!found_.empty()) {
      const Found last = found_.back();
      found_.pop_back();
      if (connections.contains(last.connection) && last.connection->is_idle() &&
          last.connection->idle_since() == last.since) {
        return last.connection;
      }
    }
    if (searched || now < next_search_) return nullptr;
    next_search_ = now + kPause * connections.size();
    for (Connection* connection : connections) {
      if (connection->is_idle()) found_.push_back({connection->idle_since(), connection});
    }
    const auto later = [](const Found& a, const Found& b) { return a.since > b.since; };
    if (found_.size() > kMostRemembered) {
      const auto first_kept = found_.end() - kMostRemembered;
      std::nth_element(found_.begin(), first_kept, found_.end(), later);
      found_.erase(found_.begin(), first_kept);
    }
    std::sort(found_.begin(), found_.end(), later);
  }
}

}  // namespace larder::server
