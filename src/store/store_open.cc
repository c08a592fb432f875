// Opening and closing a store: locks, secret, replay, background threads.
#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/random.h"
#include "store/store_parts.h"

namespace larder::store {

base::Status Store::Parts::load() {
  bool has_secret = false;
  for (const auto& drive : drives) {
    if (const auto kept = drive->secret(); kept && !has_secret) {
      secret = *kept;
      has_secret = true;
    }
  }
  if (!has_secret) base::random_bytes(secret);

  std::vector<std::shared_ptr<Generation>> all;
  std::uint64_t highest = 0;
  for (const auto& drive : drives) {
    ReplayTable table(drive.get());
    LARDER_TRY(drive->load(secret, table));
    highest = std::max(highest, table.highest_generation());
    auto live = table.take();
    std::ranges::move(live, std::back_inserter(all));
  }
  next_generation = highest + 1;

  // In the order of ids, so that of two drives that both hold a key the newer generation stays.
  std::ranges::sort(all, {}, [](const auto& generation) { return generation->id; });
  for (const auto& generation : all) {
    if (const auto replaced = index.insert(generation)) record_removal(*replaced);
  }
  for (const auto& drive : drives) {
    std::vector<std::shared_ptr<Generation>> live;
    for (const auto& generation : all) {
      if (generation->drive == drive.get()) live.push_back(generation);
    }
    LARDER_TRY(drive->settle(live));
  }
  return {};
}

base::Result<std::unique_ptr<Store>> Store::open(StoreSettings settings) {
  if (settings.drives.empty()) {
    return base::fail(base::ErrorCode::InvalidArgument, "a store needs at least one drive");
  }
  auto parts = std::make_unique<Parts>(settings.open_objects);
  const base::Clock& clock = settings.clock != nullptr ? *settings.clock : parts->system_clock;
  for (const DriveSettings& drive : settings.drives) {
    if (drive.size < kSmallestDrive) {
      return base::fail(base::ErrorCode::InvalidArgument,
                        "the drive " + drive.path + " needs a size of at least " +
                            std::to_string(kSmallestDrive) + " bytes");
    }
    auto locked = Drive::lock(drive, clock);
    if (!locked) return std::unexpected(std::move(locked).error());
    parts->drives.push_back(std::move(*locked));
  }
  LARDER_TRY(parts->load());
  for (const auto& drive : parts->drives) {
    // A drive whose size was lowered is brought below it before anything is served.
    parts->maintain(*drive, true);
    if (!settings.background) continue;
    parts->threads.emplace_back([all = parts.get(), at = drive.get()](const std::stop_token& stop) {
      all->run(stop, *at);
    });
  }
  base::log_info("store opened", {{"drives", std::to_string(parts->drives.size())},
                                  {"objects", std::to_string(parts->index.objects())},
                                  {"slices", std::to_string(parts->index.slices())}});
  return std::unique_ptr<Store>(new Store(std::move(parts)));
}

void Store::Parts::run(const std::stop_token& stop, Drive& drive) {
  while (!stop.stop_requested()) {
    drive.wait_for_work();
    maintain(drive, false);
  }
}

Store::Parts::~Parts() {
  for (auto& thread : threads) thread.request_stop();
  for (const auto& drive : drives) drive->wake();
  threads.clear();
  open_table.clear();
  for (const auto& drive : drives) {
    // Without a journal the drive was never loaded.
    if (drive->has_journal()) maintain(*drive, true);
  }
}

Store::Store(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Store::~Store() = default;

const std::array<std::uint8_t, 16>& Store::secret() const {
  return parts_->secret;
}

void Store::maintain() {
  for (const auto& drive : parts_->drives) parts_->maintain(*drive, true);
}

Statistics Store::statistics() const {
  Statistics all{.objects = parts_->index.objects(),
                 .slices = parts_->index.slices(),
                 .bytes = parts_->index.bytes()};
  for (const auto& drive : parts_->drives) {
    const DriveCounters& counters = drive->counters();
    all.evicted_objects += counters.evicted_objects;
    all.evicted_bytes += counters.evicted_bytes;
    all.freed_bytes += counters.freed_bytes;
    all.write_errors += counters.write_errors;
    all.read_errors += counters.read_errors;
    all.lost_slices += counters.lost_slices;
    all.size += drive->size();
    all.used += drive->used();
    all.drives.push_back({.path = drive->path(),
                          .size = drive->size(),
                          .used = drive->used(),
                          .is_failing = drive->is_failing()});
  }
  return all;
}

}  // namespace larder::store
