// Once a day, and at the start of the node: deletes certificates that were kept for long enough,
// and what a crash has left of writes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "client/step_worker.h"

namespace larder::node {

class RetentionWorker {
 public:
  RetentionWorker(std::string certificates_folder, const base::Clock& clock);

  void start() { worker_.start(); }
  void stop() { worker_.stop(); }

 private:
  std::chrono::milliseconds step();

  const std::string folder_;
  const base::Clock& clock_;
  base::WallTime next_{};      // of the worker's thread
  client::StepWorker worker_;  // last: its thread uses all above
};

}  // namespace larder::node
