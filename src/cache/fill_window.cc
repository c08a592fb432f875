#include "cache/fill_window.h"

#include <algorithm>

namespace larder::cache {

namespace {

using std::chrono::milliseconds;

// Twice the window is kept when it brings at least this much more.
constexpr double kWorthwhile = 1.1;
// A path changes: it is tried again after so long.
constexpr std::chrono::seconds kTryAgain{5};
constexpr std::uint64_t kLargestChunk = 8 << 20;
constexpr std::uint64_t kSmallestChunk = 1 << 20;

}  // namespace

FillWindow::FillWindow(std::uint64_t bytes) : bytes_(std::clamp(bytes, kSmallest, kLargest)) {}

std::uint64_t FillWindow::chunk() const {
  return std::clamp(bytes_ / 8, kSmallestChunk, kLargestChunk);
}

void FillWindow::answered(std::chrono::steady_clock::duration latency) {
  latency_ = (latency_ * 3 + latency) / 4;
}

void FillWindow::begin(State state, base::SteadyTime now) {
  state_ = state;
  begun_ = now;
  received_ = 0;
  was_full_ = true;
}

void FillWindow::received(std::uint64_t bytes, bool is_full, base::SteadyTime now) {
  if (begun_ == base::SteadyTime{}) begun_ = now;
  received_ += bytes;
  was_full_ = was_full_ && is_full;
  const auto interval = std::clamp<std::chrono::steady_clock::duration>(
      latency_ * 4, milliseconds(200), milliseconds(2000));
  if (now - begun_ < interval) return;
  if (!was_full_) return begin(State::Measuring, now);
  decide(static_cast<double>(received_) / std::chrono::duration<double>(now - begun_).count(), now);
}

void FillWindow::decide(double rate, base::SteadyTime now) {
  switch (state_) {
    case State::Settling:  // new connections have found their speed by now
      return begin(State::Probing, now);
    case State::Probing:
      if (rate < rate_ * kWorthwhile) {
        bytes_ = std::max(kSmallest, bytes_ / 2);
        settled_ = now;
        return begin(State::Settled, now);
      }
      break;
    case State::Settled:
      if (now - settled_ < kTryAgain) return begin(State::Settled, now);
      break;
    case State::Measuring:
      break;
  }
  if (bytes_ == kLargest) return begin(State::Measuring, now);
  rate_ = rate;
  bytes_ = std::min(kLargest, bytes_ * 2);
  begin(State::Settling, now);
}

}  // namespace larder::cache
