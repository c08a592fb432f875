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

Fill::Reader FillTable::open(const store::Key& key, IdentityRule rule,
                             const std::shared_ptr<store::Object>& refused) {
  std::shared_ptr<Fill> replaced;  // destroyed after the lock is released
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Fill>& fill = opening_[key];
  if (!fill || !fill->takes_newcomers(refused.get(), clock_.wall(), clock_.steady())) {
    replaced = std::move(fill);
    fill = std::make_shared<Fill>(*this, key, nullptr, nullptr, rule);
  }
  return Fill::Reader(fill, fill->add_reader());
}

Fill::Reader FillTable::complete(const store::Key& key, std::shared_ptr<store::Object> object,
                                 const StoredResponse& response, IdentityRule rule) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Fill>& fill = completing_[object.get()];
  if (!fill) fill = std::make_shared<Fill>(*this, key, std::move(object), &response, rule);
  return Fill::Reader(fill, fill->add_reader());
}

void FillTable::record_object(Fill& fill, const std::shared_ptr<store::Object>& object) {
  const std::lock_guard lock(mutex_);
  completing_[object.get()] = fill.shared_from_this();
}

void FillTable::drop_object(const store::Object& object) {
  std::shared_ptr<Fill> kept;
  const std::lock_guard lock(mutex_);
  if (const auto found = completing_.find(&object); found != completing_.end()) {
    kept = std::move(found->second);
    completing_.erase(found);
  }
}

// What is forgotten is destroyed by the caller, after the lock is released.
void FillTable::forget_locked(const Fill& fill, std::array<std::shared_ptr<Fill>, 2>& kept) {
  const auto take = [&fill](auto& fills, const auto& key) -> std::shared_ptr<Fill> {
    const auto found = fills.find(key);
    if (found == fills.end() || found->second.get() != &fill) return nullptr;
    std::shared_ptr<Fill> taken = std::move(found->second);
    fills.erase(found);
    return taken;
  };
  kept = {take(opening_, fill.key_), take(completing_, fill.object().get())};
}

void FillTable::forget(const Fill& fill) {
  std::array<std::shared_ptr<Fill>, 2> kept;
  const std::lock_guard lock(mutex_);
  forget_locked(fill, kept);
}

void FillTable::forget_if_idle(const Fill& fill) {
  std::array<std::shared_ptr<Fill>, 2> kept;
  const std::lock_guard lock(mutex_);
  if (fill.is_idle()) forget_locked(fill, kept);
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
  const auto without_object = std::ranges::count_if(
      opening_, [](const auto& entry) { return entry.second->object() == nullptr; });
  return completing_.size() + static_cast<std::size_t>(without_object);
}

}  // namespace larder::cache
