// Turns counted bytes into what a person wants to know: rate and time left. Private to this folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

#include "agent/progress.h"
#include "base/clock.h"

namespace larder::agent {

// One file's download. One thread at a time; `listener` and `clock` must outlive it.
class ProgressMeter {
 public:
  ProgressMeter(ProgressListener& listener, const base::Clock& clock, std::string file);

  void set_source(std::string source) { progress_.source = std::move(source); }
  void set_total(std::uint64_t total) { progress_.total = total; }
  // `done` bytes of the file are here now; tells the listener when the last time is 200 ms ago.
  void update(std::uint64_t done);
  // Tells the listener in any case.
  void finish(std::uint64_t done);

 private:
  void tell(std::uint64_t done, base::SteadyTime now);

  struct Sample {
    base::SteadyTime at;
    std::uint64_t done = 0;
  };
  ProgressListener& listener_;
  const base::Clock& clock_;
  Progress progress_;
  std::deque<Sample> samples_;  // of the last five seconds
};

}  // namespace larder::agent
