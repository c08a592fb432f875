#include "agent/progress_meter.h"

#include <utility>

namespace larder::agent {

namespace {

constexpr std::chrono::milliseconds kInterval{200};
constexpr std::chrono::seconds kWindow{5};

}  // namespace

ProgressMeter::ProgressMeter(ProgressListener& listener, const base::Clock& clock, std::string file)
    : listener_(listener), clock_(clock) {
  progress_.file = std::move(file);
}

void ProgressMeter::update(std::uint64_t done) {
  const auto now = clock_.steady();
  if (!samples_.empty() && now - samples_.back().at < kInterval) return;
  tell(done, now);
}

void ProgressMeter::finish(std::uint64_t done) {
  tell(done, clock_.steady());
}

void ProgressMeter::tell(std::uint64_t done, base::SteadyTime now) {
  // Bytes that were dropped again (a wrong piece, a new object) begin a new measurement.
  if (!samples_.empty() && done < samples_.back().done) samples_.clear();
  samples_.push_back({.at = now, .done = done});
  while (samples_.size() > 2 && now - samples_[1].at > kWindow) samples_.pop_front();
  progress_.done = done;
  progress_.bytes_per_second = 0;
  progress_.remaining.reset();
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(samples_.back().at -
                                                                             samples_.front().at);
  if (elapsed.count() > 0) {
    progress_.bytes_per_second =
        (done - samples_.front().done) * 1000 / static_cast<std::uint64_t>(elapsed.count());
  }
  if (progress_.bytes_per_second > 0 && progress_.total >= done && progress_.total > 0) {
    progress_.remaining = std::chrono::seconds(
        static_cast<std::int64_t>((progress_.total - done) / progress_.bytes_per_second));
  }
  listener_.on_progress(progress_);
}

}  // namespace larder::agent
