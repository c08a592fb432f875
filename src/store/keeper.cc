#include "store/keeper.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/log.h"
#include "store/metadata_slots.h"
#include "store/store_parts.h"

namespace larder::store {
namespace {

// Entries copied under one lock.
constexpr std::uint32_t kStep = 64;
constexpr std::int64_t kSecond = 1'000'000;
constexpr std::int64_t kFirstScrub = 600 * kSecond;
constexpr std::int64_t kScrubEvery = 86'400 * kSecond;
constexpr std::int64_t kWalkAgain = 60 * kSecond;

// An entry without its slices, and those.
struct Copy {
  Entry entry;
  std::vector<StoredSlice> slices{};
};

std::vector<Copy> copy_some(const Index& index, IndexPosition& at, bool with_slices,
                            bool& is_at_end) {
  std::vector<Copy> copies;
  is_at_end = !index.visit(at, kStep, [&](const Entry& entry) {
    Copy& copy = copies.emplace_back(Copy{.entry = entry});
    if (!with_slices) return;
    if (entry.is_packed()) {
      if (entry.has_slice) copy.slices.emplace_back(0, entry.checksum);
    } else {
      const auto slices = entry.list().view();
      copy.slices.assign(slices.begin(), slices.end());
    }
  });
  return copies;
}

// Yields to everything else that wants the processor or the drives.
void lower_priority() {
  constexpr int kWhoThread = 1;
  constexpr int kIdleClass = 3 << 13;
  static_cast<void>(::setpriority(PRIO_PROCESS, 0, 10));
  static_cast<void>(::syscall(SYS_ioprio_set, kWhoThread, 0, kIdleClass));
}

}  // namespace

void Keeper::stop() {
  stopped_ = true;
  {
    const std::lock_guard lock(mutex_);
    has_work_ = true;
  }
  work_.notify_all();
}

bool Keeper::pause(std::int64_t microseconds) {
  std::unique_lock lock(mutex_);
  work_.wait_for(lock, std::chrono::microseconds(microseconds), [this] { return has_work_; });
  has_work_ = false;
  return !stopped_;
}

void Keeper::want_walk() {
  wants_walk_ = true;
  {
    const std::lock_guard lock(mutex_);
    has_work_ = true;
  }
  work_.notify_all();
}

bool Keeper::start_scrub() {
  at_full_speed_ = true;
  bool is_new = false;
  {
    const std::lock_guard lock(mutex_);
    is_new = !scrub_.is_running;
    has_work_ = true;  // ends the pause of one that runs, too
    if (is_new) {
      // Whoever asks next sees that it runs.
      const auto passes = scrub_.passes;
      const auto checked = scrub_.checked_bytes;
      const auto finished = scrub_.finished_at;
      scrub_ = {
          .is_running = true, .passes = passes, .checked_bytes = checked, .finished_at = finished};
      wants_scrub_ = true;
    }
  }
  work_.notify_all();
  return is_new;
}

ScrubStatistics Keeper::scrub_statistics() const {
  const std::lock_guard lock(mutex_);
  return scrub_;
}

bool Keeper::is_scrub_due() const {
  if (wants_scrub_) return true;
  return parts_.settings.scrub_rate > 0 && !parts_.drives.empty() &&
         parts_.steady_now() >= next_scrub_;
}

void Keeper::run(const std::stop_token& stop) {
  lower_priority();
  next_scrub_ = parts_.steady_now() + kFirstScrub;
  while (!stop.stop_requested() && !stopped_) {
    work_off();
    if (is_scrub_due()) {
      scrub();
      next_scrub_ = parts_.steady_now() + kScrubEvery;
    }
    if (!wants_walk_ && !wants_scrub_ && !pause(kSecond)) return;
  }
}

void Keeper::work_off() {
  sweep_drives();
  if (wants_walk_ || is_walk_due()) walk();
  drop_marks();
}

bool Keeper::is_walk_due() const {
  return walk_again_at_ > 0 && parts_.steady_now() >= walk_again_at_;
}

void Keeper::sweep_drives() {
  for (const auto& drive : parts_.drives) {
    if (drive->is_swept() || drive->is_failing() || drive->is_hanging() || stopped_) continue;
    if (const auto swept = drive->sweep(stopped_); !swept) {
      static_cast<void>(drive->write_failed(swept.error()));
    }
  }
}

bool Keeper::judge(const Entry& entry, bool needs_name, std::uint64_t purged_below) {
  bool is_purged = parts_.index.is_purged(entry);
  if (!is_purged && needs_name && entry.is_recorded) {
    const auto name = parts_.read_name(*parts_.drives[entry.drive], entry);
    if (name) {
      is_purged = parts_.orders->is_purged(*name, entry.id);
      if (!is_purged) {
        parts_.set_pinned(*parts_.drives[entry.drive], entry.key, entry.id,
                          parts_.orders->is_pinned(*name));
      }
    } else if (name.error().code == base::ErrorCode::NotFound ||
               name.error().code == base::ErrorCode::DataLoss) {
      // Nobody can read it any more, unless it comes back with its drive.
      if (!parts_.drives[entry.drive]->is_there()) return false;
      is_purged = entry.id < purged_below;
    } else {
      return false;
    }
  }
  if (!is_purged) return true;
  if (auto removed = parts_.index.erase(entry.key, entry.id)) {
    parts_.finish_removal(std::move(*removed));
  }
  return true;
}

void Keeper::walk() {
  const std::lock_guard one_at_a_time(walk_mutex_);
  wants_walk_ = false;
  const OrderBook book = parts_.orders->book();
  const bool needs_names =
      !book.purges.empty() || !book.pins.empty() || parts_.index.pinned_cost() > 0;
  std::uint64_t purged_below = 0;
  for (const OrderBook::Purge& purge : book.purges) {
    purged_below = std::max(purged_below, purge.below);
  }
  // Where a drive fails or the process is short of descriptors: a purge stays marked until nothing
  // is left that it may be about.
  std::uint64_t oldest_unknown = UINT64_MAX;
  IndexPosition at;
  for (bool is_at_end = false; !is_at_end && !stopped_;) {
    for (const Copy& copy : copy_some(parts_.index, at, false, is_at_end)) {
      if (!judge(copy.entry, needs_names, purged_below)) {
        oldest_unknown = std::min<std::uint64_t>(oldest_unknown, copy.entry.id);
      }
    }
    for (const auto& drive : parts_.drives) {
      if (!drive->is_hanging()) drive->free_released();
    }
  }
  if (stopped_) return;
  // What is not in the index yet looks for marks itself when it is.
  oldest_unknown = std::min(oldest_unknown, parts_.oldest_creation());
  worked_off_ = book.purges;
  const std::size_t left = std::erase_if(
      worked_off_, [&](const OrderBook::Purge& purge) { return purge.below > oldest_unknown; });
  walk_again_at_ = left == 0 ? 0 : parts_.steady_now() + kWalkAgain;
}

// A drive that is away may hold older objects, and a removal that was not written down may be
// undone by a restart: the marks wait for both.
void Keeper::drop_marks() {
  const std::lock_guard one_at_a_time(walk_mutex_);
  if (worked_off_.empty() || parts_.has_forgetful_drives()) return;
  if (parts_.steady_now() < drop_again_at_) return;
  // Nor may a power loss take the removals back.
  if (!parts_.sync_removals()) return;
  if (parts_.orders->purges_done(worked_off_)) {
    worked_off_.clear();
  } else {
    drop_again_at_ = parts_.steady_now() + kWalkAgain;
  }
}

void Keeper::scrub() {
  at_full_speed_ = wants_scrub_.exchange(false);
  {
    const std::lock_guard lock(mutex_);
    scrub_ = {.is_running = true,
              .passes = scrub_.passes,
              .checked_bytes = scrub_.checked_bytes,
              .finished_at = scrub_.finished_at};
  }
  IndexPosition at;
  for (bool is_at_end = false; !is_at_end && !stopped_;) {
    for (const Copy& copy : copy_some(parts_.index, at, true, is_at_end)) {
      if (stopped_) break;
      Drive& drive = *parts_.drives[copy.entry.drive];
      // An alert says so, and it may come back.
      if (drive.is_gone() || drive.is_hanging()) {
        note_skipped();
        continue;
      }
      const auto fd = check_head(drive, copy.entry);
      if (!fd) {
        if (fd.error().code != base::ErrorCode::Unavailable) {
          lose(drive, copy.entry, std::max<std::uint64_t>(copy.slices.size(), 1), fd.error());
        }
        continue;
      }
      for (const StoredSlice& slice : copy.slices) {
        if (!check_slice(*fd, copy.entry, slice.index, slice.checksum())) break;
      }
      const std::lock_guard lock(mutex_);
      ++scrub_.objects;
    }
    // It may take days.
    work_off();
  }
  const std::lock_guard lock(mutex_);
  scrub_.is_running = false;
  at_full_speed_ = false;
  if (stopped_) return;
  ++scrub_.passes;
  scrub_.finished_at = base::to_unix_seconds(parts_.clock().wall());
}

base::Result<base::UniqueFd> Keeper::check_head(Drive& drive, const Entry& entry) {
  const Location at = entry.location();
  auto fd = drive.open_to_read(entry.id, at);
  // Of what is on its way to the drive nothing can be said.
  if (!fd || !entry.is_recorded) return fd;
  if (!entry.is_packed()) {
    const auto size = file_size(fd->get());
    if (!size) return std::unexpected(size.error().to_error(drive.path()));
    if (*size != data_offset(at) + entry.length) {
      return base::fail(base::ErrorCode::DataLoss, "a file has the wrong length");
    }
  }
  const SlotOwner owner{
      .key = entry.key, .generation = entry.id, .length = entry.length, .location = at};
  auto slot = read_slots(owner, fd->get(), drive.path());
  // The slot that was not whole may just have been written.
  if (!slot) slot = read_slots(owner, fd->get(), drive.path());
  if (!slot) return std::unexpected(std::move(slot).error());
  drop_pages(*fd, entry, base_offset(at), 2 * slot_size(at));
  static_cast<void>(pace(2 * slot_size(at)));
  return fd;
}

void Keeper::lose(Drive& drive, const Entry& entry, std::uint64_t slices,
                  const base::Error& reason) {
  const bool may_come_back =
      reason.code != base::ErrorCode::NotFound && reason.code != base::ErrorCode::DataLoss;
  if (may_come_back) {
    static_cast<void>(drive.read_failed(reason));
    return note_skipped();
  }
  if (drive.is_there()) {
    auto removed = parts_.index.erase(entry.key, entry.id);
    if (!removed) return;  // gone meanwhile, and nothing is wrong
    parts_.finish_removal(std::move(*removed));
    drive.counters().lost_slices += slices;
    base::log_warning("a stored object is lost", {{"object", std::to_string(entry.id)},
                                                  {"drive", drive.path()},
                                                  {"reason", reason.message}});
  } else {
    return note_skipped();
  }
  const std::lock_guard lock(mutex_);
  scrub_.lost += slices;
}

void Keeper::note_skipped() {
  const std::lock_guard lock(mutex_);
  ++scrub_.skipped;
}

// The scrub must not drive out of memory what clients ask for.
void Keeper::drop_pages(const base::UniqueFd& fd, const Entry& entry, std::uint64_t offset,
                        std::uint64_t length) {
  if (parts_.index.is_open(entry.key)) return;
  static_cast<void>(::posix_fadvise(fd.get(), static_cast<off_t>(offset),
                                    static_cast<off_t>(length), POSIX_FADV_DONTNEED));
}

bool Keeper::pace(std::uint64_t bytes) {
  const std::uint64_t rate = parts_.settings.scrub_rate;
  if (at_full_speed_ || rate == 0) return !stopped_;
  return pause(static_cast<std::int64_t>(bytes * kSecond / rate));
}

bool Keeper::check_slice(const base::UniqueFd& fd, const Entry& entry, std::uint32_t index,
                         std::uint64_t expected) {
  const std::uint64_t offset = data_offset(entry.location()) + index * kSliceSize;
  const std::uint64_t length = slice_length_of(entry.length, index);
  const auto found = checksum_at(fd.get(), offset, length);
  bool is_lost = false;
  if (!found || *found != expected) {
    // It may have been evicted or written anew meanwhile: the object itself decides.
    const auto object = parts_.find(entry.key);
    if (object && object->id() == entry.id && object->has_slice(index)) {
      const auto verified = parts_.verify(*object, index);
      is_lost = !verified && verified.error().code != base::ErrorCode::NotFound;
    }
  } else {
    drop_pages(fd, entry, offset, length);
  }
  {
    const std::lock_guard lock(mutex_);
    scrub_.bytes += length;
    scrub_.checked_bytes += length;
    if (is_lost) ++scrub_.lost;
  }
  return pace(length);
}

}  // namespace larder::store
