// Looks at the drives every few seconds and tells the administrator what changes. On a thread of
// its own; facts may be asked on any.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "alerts/notifier.h"
#include "base/clock.h"
#include "client/step_worker.h"
#include "node/drive_alerts.h"
#include "store/store.h"

namespace larder::node {

class DriveWatch {
 public:
  // All of them outlive it.
  DriveWatch(const store::Store& store, alerts::Notifier& notifier, const base::Clock& clock);

  void start() { worker_.start(); }
  void stop() { worker_.stop(); }

  // What is wrong now, as sentences.
  std::vector<std::string> alerts() const;

 private:
  std::chrono::milliseconds step();

  const store::Store& store_;
  alerts::Notifier& notifier_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  DriveAlerts drives_;  // guarded by mutex_

  client::StepWorker worker_;  // the last: it uses the rest
};

}  // namespace larder::node
