#include "node/drive_watch.h"

#include <utility>

namespace larder::node {

namespace {

constexpr std::chrono::seconds kTick{2};
constexpr std::string_view kSource = "drive";

}  // namespace

DriveWatch::DriveWatch(const store::Store& store, alerts::Notifier& notifier,
                       const base::Clock& clock)
    : store_(store),
      notifier_(notifier),
      clock_(clock),
      drives_(notifier.told(kSource), clock.steady()),
      worker_([this](const client::HttpExchange&) { return step(); }) {}

std::chrono::milliseconds DriveWatch::step() {
  const std::vector<store::DriveStatistics> statistics = store_.drive_statistics();
  std::vector<alerts::News> news;
  alerts::Told told;
  {
    const std::lock_guard lock(mutex_);
    news = drives_.look(statistics, clock_.steady());
    told = drives_.told();
  }
  notifier_.tell(kSource, std::move(told), std::move(news));
  return kTick;
}

std::vector<std::string> DriveWatch::alerts() const {
  const std::lock_guard lock(mutex_);
  return drives_.sentences();
}

}  // namespace larder::node
