// The settings in force with what is derived from them, as one immutable value that is swapped as a
// whole: a request sees one policy from its first byte to its last.
//
// Each loop keeps a pointer of its own (LoopState::policy), so that a request takes no lock; other
// threads ask the holder.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include "node/host_table.h"
#include "node/settings.h"

namespace larder::node {

struct Policy {
  explicit Policy(NodeSettings node_settings)
      : settings(std::move(node_settings)), hosts(settings) {}
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  const NodeSettings settings;
  const HostTable hosts;  // points into `settings`
};

// Thread-safe.
class PolicyHolder {
 public:
  explicit PolicyHolder(std::shared_ptr<const Policy> policy) : policy_(std::move(policy)) {}
  std::shared_ptr<const Policy> get() const {
    const std::lock_guard lock(mutex_);
    return policy_;
  }
  void set(std::shared_ptr<const Policy> policy) {
    const std::lock_guard lock(mutex_);
    policy_.swap(policy);  // the old one goes after the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Policy> policy_;
};

}  // namespace larder::node
