// Opening and closing a store: locks, secret, replay, background threads.
#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "store/replay.h"
#include "store/store_parts.h"

namespace larder::store {
namespace {

using base::ErrorCode;

constexpr std::uint64_t kLargestOrders = 16 << 20;
// With fewer objects than this, what a dead process left is freed before the store opens.
constexpr std::uint64_t kSweptAtOnce = 10'000;

}  // namespace

// A drive that does not work is left out: the others serve.
base::Status Store::Parts::open_drives() {
  for (const DriveSettings& drive : settings.drives) {
    auto locked = drive.unusable.empty() ? Drive::lock(drive, clock())
                                         : base::fail(ErrorCode::Unavailable, drive.unusable);
    if (locked) {
      drives.push_back(std::move(*locked));
      continue;
    }
    // Two processes must not write to one folder: that is a mistake of the whole start.
    if (locked.error().code == ErrorCode::FailedPrecondition) {
      return std::unexpected(std::move(locked).error());
    }
    base::log_error("a drive cannot be opened and is left out",
                    {{"path", drive.path}, {"reason", locked.error().message}});
    missing_drives.push_back({drive, locked.error().message});
  }
  return {};
}

base::Status Store::Parts::load() {
  bool has_secret = false;
  for (const auto& drive : drives) {
    if (const auto kept = drive->secret(); kept && !has_secret) {
      secret = *kept;
      has_secret = true;
    }
  }
  if (!has_secret) base::random_bytes(secret);

  std::vector<Drive*> numbered;
  std::uint64_t size = 0;
  for (const auto& drive : drives) {
    numbered.push_back(drive.get());
    size += drive->size();
  }
  index.set_drives(std::move(numbered));
  index.set_epoch_size(size / kEpochsPerTurn);

  auto kept = read_orders();
  if (!kept) return std::unexpected(kept.error());
  const OrderBook& book = kept->newest;
  std::vector<base::Result<Drive::Loaded>> loaded(drives.size());
  {
    std::vector<std::jthread> loaders;
    const auto load_one = [&](std::size_t i) {
      loaded[i] =
          drives[i]->load(secret, index, static_cast<std::uint32_t>(i), kept->why_outdated(i));
    };
    for (std::size_t i = 1; i < drives.size(); ++i) loaders.emplace_back(load_one, i);
    if (!drives.empty()) load_one(0);
  }
  std::uint64_t highest = 0;
  for (std::size_t i = 0; i < drives.size(); ++i) {
    if (!loaded[i]) return unreadable(*drives[i], loaded[i].error());
    highest = std::max(highest, loaded[i]->highest_generation);
  }
  for (auto& each : loaded) {
    for (const Removed& replaced : each->replaced) {
      // Nothing was charged for it yet, and the sweep frees it.
      if (!replaced.drive->journal().append(
              {.type = RecordType::Remove, .generation = replaced.id})) {
        replaced.drive->record_lost();
      }
    }
  }
  // Numbers grow with the time as well, so that what a drive holds that was away is older than all
  // that was created meanwhile.
  const auto seconds =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, base::to_unix_seconds(clock().wall())));
  next_generation = std::max(highest + 1, std::min(seconds << 16, kGenerationLimit / 2));
  for (const auto& drive : drives) {
    if (const auto settled = drive->settle(index); !settled) {
      return unreadable(*drive, settled.error());
    }
  }
  // By what the drives may really take.
  size = 0;
  for (const auto& drive : drives) size += drive->limit();
  index.set_epoch_size(size / kEpochsPerTurn);
  // Whatever the clock says, what comes is newer than all that was purged.
  std::uint64_t least = next_generation;
  for (const OrderBook::Group& group : book.groups) least = std::max(least, group.purged_below);
  for (const OrderBook::Purge& purge : book.purges) least = std::max(least, purge.below);
  next_generation = least;
  load_orders(std::move(*kept));
  for (const auto& drive : drives) make_ready(*drive);
  return {};
}

base::Status Store::Parts::unreadable(const Drive& drive, base::Error error) {
  for (std::size_t i = 0; i < settings.drives.size(); ++i) {
    if (settings.drives[i].path == drive.path()) unreadable_drive = i;
  }
  return std::unexpected(std::move(error));
}

std::string_view Store::Parts::KeptOrders::why_outdated(std::size_t drive) const {
  if (are_damaged[drive]) {
    // One that was there all the time lacks nothing if another one has it.
    const bool is_known = newest.sequence > 0 && newest.missed_below == 0;
    return is_known ? "" : "it may hold what was purged: its file of purges cannot be read";
  }
  return numbers[drive] < newest.missed_below
             ? "something was purged while it was out of the settings"
             : "";
}

base::Result<Store::Parts::KeptOrders> Store::Parts::read_orders() {
  KeptOrders kept{.newest = {},
                  .numbers = std::vector<std::uint64_t>(drives.size()),
                  .are_damaged = std::vector<bool>(drives.size())};
  for (std::size_t i = 0; i < drives.size(); ++i) {
    if (drives[i]->secret() != secret) continue;  // new, or of another store
    const std::string path = drives[i]->path() + "/orders";
    const auto file = base::read_file(path, kLargestOrders);
    if (!file && file.error().code == ErrorCode::NotFound) continue;
    if (!file) return std::unexpected(unreadable(*drives[i], file.error()).error());
    auto book = parse_orders(*file);
    if (!book) {
      base::log_warning("purges, pins and groups on a drive cannot be read", {{"path", path}});
      kept.are_damaged[i] = true;
      continue;
    }
    kept.numbers[i] = book->sequence;
    if (book->sequence > kept.newest.sequence) kept.newest = std::move(*book);
  }
  return kept;
}

void Store::Parts::load_orders(KeptOrders kept) {
  OrderBook& book = kept.newest;
  const bool is_everywhere = std::ranges::all_of(
      kept.numbers, [&](std::uint64_t number) { return number == book.sequence; });
  if (!is_everywhere) {
    // A copy that is older than the others can be read all the same.
    if (const auto saved = save_orders(encode_orders(book)); !saved) {
      base::log_warning("no drive takes the purges, pins and groups that were read",
                        {{"reason", saved.error().message}});
    }
  }
  bool has_work = !book.purges.empty() || !book.pins.empty() || index.pinned_cost() > 0;
  for (std::size_t i = 0; i < book.groups.size(); ++i) {
    const auto number = static_cast<std::uint16_t>(i + 1);
    index.purge_below(number, book.groups[i].purged_below);
    has_work = has_work || book.groups[i].purged_below > 0;
  }
  orders = std::make_unique<Orders>(std::move(book),
                                    [this](std::string_view file) { return save_orders(file); });
  if (has_work) keeper.want_walk();
}

base::Result<Orders::Saved> Store::Parts::save_orders(std::string_view file) {
  base::Error failed{ErrorCode::Unavailable, "no drive works"};
  std::size_t saved = 0;
  for (const auto& drive : drives) {
    const Operation operation(drive->operations());
    if (operation.is_refused()) failed = drive->operations().hangs();
    if (operation.is_refused() || !drive->is_there()) continue;
    const auto written = base::write_file_atomically(drive->path() + "/orders", file, 0600);
    if (written) {
      ++saved;
    } else {
      failed = drive->write_failed(written.error());
    }
  }
  if (saved == 0) return std::unexpected(std::move(failed));
  return saved == drives.size() ? Orders::Saved::Everywhere : Orders::Saved::Somewhere;
}

void Store::Parts::make_ready(Drive& drive) {
  // Without a thread for it, or with little to look through, leftovers are freed at once.
  if (!settings.background || index.objects() < kSweptAtOnce) {
    // What is there is served all the same; the keeper tries again.
    if (const auto swept = drive.sweep(false); !swept) {
      static_cast<void>(drive.write_failed(swept.error()));
    }
  }
  // A drive whose size was lowered is brought below it before anything is served. Where the file
  // system gives less, the upkeep makes space while the store serves.
  if (!settings.background || drive.is_overfull()) maintain(drive, true);
}

base::Result<std::unique_ptr<Store>> Store::open(StoreSettings settings) {
  if (settings.drives.empty() || settings.drives.size() > kDriveLimit) {
    return base::fail(ErrorCode::InvalidArgument, "a store needs one to 32 drives");
  }
  for (const DriveSettings& drive : settings.drives) {
    if (drive.size < kSmallestDrive) {
      return base::fail(ErrorCode::InvalidArgument, "the drive " + drive.path +
                                                        " needs a size of at least " +
                                                        std::to_string(kSmallestDrive) + " bytes");
    }
  }
  std::vector<Parts::MissingDrive> unreadable;
  for (;;) {
    auto parts = std::make_unique<Parts>(settings);
    parts->missing_drives = unreadable;
    base::Status opened = parts->open_drives();
    if (opened) opened = parts->load();
    if (opened) {
      parts->start_threads();
      return std::unique_ptr<Store>(new Store(std::move(parts)));
    }
    if (!parts->unreadable_drive) return std::unexpected(std::move(opened).error());
    // What it said so far is not to stay in the index: the others are read once more without it.
    const DriveSettings drive = settings.drives.at(*parts->unreadable_drive);
    base::log_error("a drive cannot be read and is left out",
                    {{"path", drive.path}, {"reason", opened.error().message}});
    unreadable.push_back({drive, opened.error().message});
    std::erase_if(settings.drives, [&](const auto& other) { return other.path == drive.path; });
  }
}

void Store::Parts::start_threads() {
  if (settings.background) {
    for (const auto& drive : drives) {
      threads.emplace_back(
          [this, at = drive.get()](const std::stop_token& stop) { run(stop, *at); });
    }
    threads.emplace_back([this](const std::stop_token& stop) { keeper.run(stop); });
  } else {
    keeper.work_off();
  }
  base::log_info("store opened", {{"drives", std::to_string(drives.size())},
                                  {"missing", std::to_string(missing_drives.size())},
                                  {"objects", std::to_string(index.objects())},
                                  {"slices", std::to_string(index.slices())}});
}

void Store::Parts::run(const std::stop_token& stop, Drive& drive) {
  while (!stop.stop_requested()) {
    drive.wait_for_work();
    maintain(drive, false);
  }
}

Store::Parts::~Parts() {
  keeper.stop();
  for (auto& thread : threads) thread.request_stop();
  for (const auto& drive : drives) drive->wake();
  threads.clear();
  open_table.clear();
  // Before all were loaded the account of none is right.
  if (!orders) return;
  for (const auto& drive : drives) maintain(*drive, true);
}

Store::Store(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Store::~Store() = default;

const std::array<std::uint8_t, 16>& Store::secret() const {
  return parts_->secret;
}

void Store::on_space_awaited(std::function<void()> let_go) {
  const std::lock_guard lock(parts_->let_go_mutex);
  parts_->let_go = std::move(let_go);
}

void Store::maintain() {
  parts_->keeper.work_off();
  for (const auto& drive : parts_->drives) parts_->maintain(*drive, true);
}

}  // namespace larder::store
