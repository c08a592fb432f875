// The role "node": cache, delivery over HTTP and HTTPS, guarded content, link to a site. Composes
// the modules below and owns their threads; `larder node run` and `larder up` make one.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "node/settings.h"

namespace larder::node {

class Node {
 public:
  // Opens state and drives, binds everything, serves. Errors name what could not be opened and why.
  // `clock` outlives the node.
  static base::Result<std::unique_ptr<Node>> start(NodeSettings settings, const base::Clock& clock);
  ~Node();  // stops
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // New connections are refused, running answers get the grace. Idempotent.
  void stop(std::chrono::milliseconds grace);

  // Redeems a join token; blocks until the site has answered.
  base::Status join(std::string_view token);
  bool is_joined() const;

  struct Parts;  // node_parts.h

 private:
  Node();
  std::unique_ptr<Parts> parts_;
};

}  // namespace larder::node
