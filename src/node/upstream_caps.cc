#include "node/upstream_caps.h"

#include <algorithm>
#include <utility>

namespace larder::node {

namespace {

struct Admitted final : cache::Origin::Admission {
  UpstreamCaps::Limits limits;

  Admitted() = default;
  Admitted(const Admitted&) = delete;
  Admitted& operator=(const Admitted&) = delete;
  ~Admitted() override {
    for (const auto& limit : limits) limit->leave();
  }
};

}  // namespace

void UpstreamCaps::apply(const NodeSettings& settings) {
  const std::lock_guard lock(mutex_);
  std::map<std::string, const client::RateSchedule*> schedules = {{"", &settings.upstream_rate}};
  // A table of the settings and one of a profile may share a name; the settings' come first.
  for (const OriginSettings& origin : settings.origins) {
    const client::RateSchedule*& schedule = schedules[origin.name];
    if (schedule == nullptr || schedule->empty()) schedule = &origin.upstream_rate;
  }
  for (const auto& [name, limit] : limits_) {
    if (!schedules.contains(name)) limit->set(nullptr);
  }
  for (const auto& [name, schedule] : schedules) {
    std::shared_ptr<client::RateLimit>& limit = limits_[name];
    if (!limit && !schedule->empty()) limit = std::make_shared<client::RateLimit>();
    if (limit) limit->set(std::make_shared<const client::RateSchedule>(*schedule));
  }
  std::erase_if(limits_, [](const auto& entry) { return entry.second == nullptr; });
}

UpstreamCaps::Limits UpstreamCaps::limits_of(const OriginSettings* origin) const {
  Limits limits;
  const std::lock_guard lock(mutex_);
  const auto add = [&](const std::string& name) {
    if (const auto found = limits_.find(name); found != limits_.end()) {
      limits.push_back(found->second);
    }
  };
  if (limits_.empty()) return limits;
  add("");
  if (origin != nullptr) add(origin->name);
  return limits;
}

cache::Origin::Permit UpstreamCaps::admit(const OriginSettings* origin, bool must) const {
  auto admitted = std::make_shared<Admitted>();
  const base::WallTime now = base::SystemClock().wall();
  for (const auto& limit : limits_of(origin)) {
    if (!limit->admit(must, now)) return nullptr;
    admitted->limits.push_back(limit);
    admitted->rate = std::min(admitted->rate, limit->rate(now));
  }
  return admitted;
}

bool UpstreamCaps::has_room(const OriginSettings* origin) const {
  const base::WallTime now = base::SystemClock().wall();
  return std::ranges::all_of(limits_of(origin),
                             [now](const auto& limit) { return limit->may_admit(now); });
}

}  // namespace larder::node
