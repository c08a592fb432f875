// What is wrong with the drives, and when that is told. Pure: the time is passed in.
//
// A trouble is told when it is seen first, and its end once the drive has been well for a while.
// The while grows with each relapse, so a drive that comes and goes is told less and less often.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "alerts/notifier.h"
#include "base/clock.h"
#include "store/store.h"

namespace larder::node {

enum class DriveTrouble {
  Missing,     // could not be opened at start, or went away
  Failing,     // takes no writes
  Short,       // its file system is full
  Pinned,      // nothing could be evicted for what was new within the last hour
  ReadErrors,  // within the last hour
  Damage,      // slices with a wrong checksum within the last hour
};

// For how long a drive must have been well before the end of a trouble is told.
std::chrono::seconds well_before_told(DriveTrouble trouble, unsigned relapses);

class DriveAlerts {
 public:
  // `told`: as told() said before the restart.
  DriveAlerts(const alerts::Told& told, base::SteadyTime now);

  // What there is to tell. Drives that are not among them are forgotten.
  std::vector<alerts::News> look(std::span<const store::DriveStatistics> drives,
                                 base::SteadyTime now);
  // Which troubles were told and have not ended.
  alerts::Told told() const;
  // The same as sentences.
  std::vector<std::string> sentences() const;

 private:
  struct Case {
    std::string text;         // as it was told
    base::SteadyTime seen{};  // last
    std::optional<base::SteadyTime> ended;
    unsigned relapses = 0;
  };
  struct Counts {
    std::uint64_t not_evictable = 0;
    std::uint64_t read_errors = 0;
    std::uint64_t lost_slices = 0;
  };

  std::optional<alerts::News> judge(const std::string& path, DriveTrouble trouble,
                                    const std::optional<std::string>& text, base::SteadyTime now);

  std::map<std::pair<std::string, DriveTrouble>, Case> cases_;  // by path
  std::map<std::string, Counts> counts_;
};

}  // namespace larder::node
