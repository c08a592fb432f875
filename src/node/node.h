// The role "node": cache, delivery over HTTP and HTTPS, guarded content, link to a site. Composes
// the modules below and owns their threads; `larder node run` and `larder up` make one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "node/settings.h"

namespace larder::node {

// Reads the settings anew, completely checked.
using SettingsSource = std::function<base::Result<NodeSettings>()>;

// What a reload did, by the names of settings: "[node] idle_timeout", "[[origin]] packages".
struct ReloadReport {
  std::vector<std::string> changed;        // in force now
  std::vector<std::string> needs_restart;  // differ from what the node was started with
};

class Node {
 public:
  // Opens state and drives, binds everything, serves. Errors name what could not be opened and why.
  // `clock` outlives the node. Without a source settings cannot be read anew.
  static base::Result<std::unique_ptr<Node>> start(NodeSettings settings, const base::Clock& clock,
                                                   SettingsSource source = {});
  ~Node();  // stops
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // New connections are refused, running answers get the grace. Idempotent.
  void stop(std::chrono::milliseconds grace);
  // The grace that the settings name.
  std::chrono::milliseconds stop_grace() const;

  // Reads the settings anew. What is live is in force when this returns, for every request that
  // begins afterwards; no connection is dropped. A mistake anywhere, or an address that cannot be
  // bound, refuses all of it: the settings in force stay. Thread-safe.
  base::Result<ReloadReport> reload();
  // Opens the access log anew, for whoever has moved the file away. Thread-safe.
  base::Status reopen_logs();
  // Whether every event loop took a turn within that time.
  bool is_responsive(std::chrono::milliseconds limit) const;

  // Redeems a join token; blocks until the site has answered.
  base::Status join(std::string_view token);
  bool is_joined() const;

  struct Parts;  // node_parts.h

 private:
  Node();
  std::unique_ptr<Parts> parts_;
};

}  // namespace larder::node
