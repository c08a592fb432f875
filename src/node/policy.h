// The settings in force with what is derived from them, as one immutable value that is swapped as a
// whole: a request sees one policy from its first byte to its last.
//
// Each loop keeps a pointer of its own (LoopState::policy), so that a request takes no lock; other
// threads ask the holder.
#pragma once

#include <memory>
#include <utility>

#include "base/published.h"
#include "cache/origin.h"
#include "node/host_table.h"
#include "node/settings.h"

namespace larder::node {

struct Policy : cache::OriginTerms {
  explicit Policy(NodeSettings node_settings)
      : settings(std::move(node_settings)), hosts(settings) {}
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  const NodeSettings settings;
  const HostTable hosts;  // points into `settings`
};

class PolicyHolder : public base::Published<Policy> {
 public:
  using Published::Published;
};

}  // namespace larder::node
