#include "certs/expiry_alerts.h"

namespace larder::certs {

std::optional<int> alert_stage(base::WallTime not_after, base::WallTime now) {
  std::optional<int> stage;
  for (const int days : kAlertDays) {
    if (now >= not_after - std::chrono::days(days)) stage = days;
  }
  return stage;
}

std::vector<DueAlert> due_alerts(std::span<const WatchedCertificate> certificates,
                                 const ToldStages& told, base::WallTime now) {
  std::vector<DueAlert> due;
  for (const WatchedCertificate& certificate : certificates) {
    const std::optional<int> stage = alert_stage(certificate.not_after, now);
    if (!stage) continue;
    const auto before = told.find(certificate.id);
    if (before != told.end() && before->second <= *stage) continue;
    due.push_back({certificate.id, *stage});
  }
  return due;
}

ToldStages told_stages(std::span<const WatchedCertificate> certificates, base::WallTime now) {
  ToldStages told;
  for (const WatchedCertificate& certificate : certificates) {
    if (const auto stage = alert_stage(certificate.not_after, now)) {
      told.insert_or_assign(certificate.id, *stage);
    }
  }
  return told;
}

}  // namespace larder::certs
