// When the end of a certificate's validity is told to somebody. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace larder::certs {

// Days before the end at which somebody is told; 0 is the end itself.
inline constexpr int kAlertDays[] = {30, 14, 7, 1, 0};

// The least of kAlertDays that has come at `now`; nothing while there is more time.
std::optional<int> alert_stage(base::WallTime not_after, base::WallTime now);

// Certificates by id, with the stage that was told last.
using ToldStages = std::map<std::string, int>;

struct WatchedCertificate {
  std::string id;
  base::WallTime not_after;
};
struct DueAlert {
  std::string id;
  int days = 0;  // one of kAlertDays

  bool operator==(const DueAlert&) const = default;
};

// One alert for each certificate whose stage has come and was not told. Stages that passed
// unnoticed are not told later: the latest says it all. A certificate that got more time (a clock
// that was wrong) may be told again.
std::vector<DueAlert> due_alerts(std::span<const WatchedCertificate> certificates,
                                 const ToldStages& told, base::WallTime now);

// What is told from now on: those of `certificates` at their stage of `now`, no others.
ToldStages told_stages(std::span<const WatchedCertificate> certificates, base::WallTime now);

}  // namespace larder::certs
