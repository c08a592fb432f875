#include "cache/fill_table.h"

#include <algorithm>

#include "base/log.h"

namespace larder::cache {

namespace {

// A fill begins with the window that the last one of its origin found, up to here.
constexpr std::uint64_t kLargestBeginning = 16 << 20;
constexpr std::size_t kMostPaths = 1024;

}  // namespace

FillTable::FillTable(Origin& origin, store::Store& store, net::WorkerPool& disk,
                     const base::Clock& clock, std::uint64_t memory)
    : origin_(origin),
      store_(store),
      disk_(disk),
      clock_(clock),
      memory_(std::make_shared<FillMemory>(origin, memory)) {}

FillTable::~FillTable() {
  memory_->close();
}

Fill::Reader FillTable::acquire(const store::Key& key, std::shared_ptr<store::Object> object,
                                const StoredResponse* response, IdentityRule rule) {
  std::shared_ptr<Fill> replaced;  // destroyed after the lock is released
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Fill>& fill = fills_[key];
  if (!fill || (object ? fill->object() != object : !fill->takes_newcomers(clock_.wall()))) {
    replaced = std::move(fill);
    fill = std::make_shared<Fill>(*this, key, std::move(object), response, rule);
  }
  const std::lock_guard fill_lock(fill->mutex_);
  return Fill::Reader(fill, fill->readers_.add());
}

void FillTable::forget(const Fill& fill) {
  std::shared_ptr<Fill> kept;  // destroyed after the lock is released
  const std::lock_guard lock(mutex_);
  const auto found = fills_.find(fill.key_);
  if (found == fills_.end() || found->second.get() != &fill) return;
  kept = std::move(found->second);
  fills_.erase(found);
}

void FillTable::forget_if_idle(const Fill& fill) {
  std::shared_ptr<Fill> kept;
  const std::lock_guard lock(mutex_);
  const auto found = fills_.find(fill.key_);
  if (found == fills_.end() || found->second.get() != &fill || !fill.is_idle()) return;
  kept = std::move(found->second);
  fills_.erase(found);
}

void FillTable::record_change(const store::Key& key) {
  ++statistics_.changes;
  const std::lock_guard lock(known_mutex_);
  if (!flips_.record(key, clock_.steady())) return;
  ++statistics_.flipping;
  base::log_warning("an object changes with every answer; it is fetched as one response",
                    {{"advice", "set validator for its origin when its edges disagree"}});
}

bool FillTable::is_flipping(const store::Key& key) const {
  const std::lock_guard lock(known_mutex_);
  return flips_.is_flipping(key, clock_.steady());
}

std::uint64_t FillTable::window_of(const std::string& host) const {
  const std::lock_guard lock(known_mutex_);
  const auto found = windows_.find(host);
  return found == windows_.end() ? FillWindow::kFirst : std::min(found->second, kLargestBeginning);
}

void FillTable::remember_window(const std::string& host, std::uint64_t bytes) {
  const std::lock_guard lock(known_mutex_);
  if (windows_.size() >= kMostPaths && !windows_.contains(host)) windows_.clear();
  windows_[host] = bytes;
}

std::size_t FillTable::size() const {
  const std::lock_guard lock(mutex_);
  return fills_.size();
}

}  // namespace larder::cache
