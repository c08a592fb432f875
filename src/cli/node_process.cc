#include "cli/node_process.h"

namespace larder::cli {
namespace {

// An event loop that does not take its turn for so long is stuck.
constexpr std::chrono::seconds kLoopTurn{5};

}  // namespace

Signals::Actions node_actions(node::Node& node) {
  Signals::Actions actions;
  actions.reload = [&node] {
    notify_reloading();
    // Refusals are in the log, in /readyz and in the metrics: nobody waits for the answer here.
    static_cast<void>(node.reload());
    notify_service_manager("READY=1");
  };
  actions.reopen_logs = [&node] { static_cast<void>(node.reopen_logs()); };
  actions.is_alive = [&node] { return node.is_responsive(kLoopTurn); };
  return actions;
}

}  // namespace larder::cli
