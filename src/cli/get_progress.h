// How `larder get` shows its progress: a bar on a terminal, plain lines elsewhere, JSON events for
// programs.
#pragma once

#include <memory>
#include <string>

#include "agent/get.h"
#include "agent/progress.h"

namespace larder::cli {

class GetListener : public agent::ProgressListener {
 public:
  virtual void finish(const agent::GetResult& result) = 0;
  virtual void fail(const base::Error& error) = 0;
};

std::unique_ptr<GetListener> make_progress_listener(bool json);

// One line for people: "tool.msi  42 %  4.2 MB of 10.0 MB  1.5 MB/s  node1  4 s left".
std::string format_progress(const agent::Progress& progress);

}  // namespace larder::cli
