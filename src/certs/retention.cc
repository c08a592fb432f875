#include "certs/retention.h"

#include <algorithm>

namespace larder::certs {

namespace {

// The same day of the month, or the month's last.
base::WallTime add_months(base::WallTime time, std::chrono::months months) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date = std::chrono::year_month_day(day) + months;
  if (!date.ok()) date = date.year() / date.month() / std::chrono::last;
  return std::chrono::sys_days(date) + (time - day);
}

}  // namespace

std::optional<base::WallTime> kept_until(const CertificateFacts& certificate) {
  using enum CertificateState;
  if (certificate.state == Active || certificate.state == Unknown || certificate.history.empty()) {
    return std::nullopt;
  }
  base::WallTime end = certificate.not_after;
  // One that was never served is counted from the last that happened to it.
  base::WallTime deactivated = certificate.history.back().at;
  for (const Record::Entry& entry : certificate.history) {
    if (entry.event == Record::Event::Revoked) end = std::min(end, entry.at);
    if (entry.event == Record::Event::Deactivated) deactivated = entry.at;
  }
  return add_months(std::max(end, deactivated), kRetention);
}

std::vector<Purge> plan_purges(const Inventory& inventory, base::WallTime now) {
  std::vector<Purge> purges;
  for (const KeyFacts& key : inventory.keys) {
    const std::size_t before = purges.size();
    for (const CertificateFacts& certificate : key.certificates) {
      const auto until = kept_until(certificate);
      if (until && now >= *until) purges.push_back({key.name, certificate.id, false});
    }
    // A file that cannot be read may be a certificate of the key.
    const bool all = purges.size() - before == key.certificates.size() && purges.size() > before;
    if (all && !key.has_damage) purges.back().with_key = true;
  }
  return purges;
}

}  // namespace larder::certs
