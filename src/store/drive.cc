#include "store/drive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "store/drive_folder.h"
#include "store/index.h"
#include "store/replay.h"
#include "store/snapshot.h"
#include "store/store.h"

namespace larder::store {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kSmallestCompaction = 256 * 1024;
constexpr std::uint64_t kSyncAfter = 64 * kMiB;
// How long a broken drive is left alone before it is tried again.
constexpr std::chrono::microseconds kRefusal = std::chrono::seconds(30);
// How often it is looked whether the folder is still there.
constexpr std::chrono::microseconds kBetweenLooks = std::chrono::seconds(30);
// Who holds what was evicted for longer is slow.
constexpr std::chrono::microseconds kLong = std::chrono::seconds(1);
constexpr std::size_t kTrialSize = 4096;  // of the account's kDriveCost

std::uint64_t lower_watermark(std::uint64_t size) {
  // What was evicted comes back when its last reader lets go: on a small drive a 32nd would not
  // last so long.
  const std::uint64_t for_readers = std::min(size / 16, 64 * kMiB);
  return std::clamp<std::uint64_t>(std::max(size / 32, for_readers), 2 * kMiB, 2048 * kMiB);
}

std::uint64_t segment_size_for(std::uint64_t drive_size) {
  return std::clamp<std::uint64_t>(round_up(drive_size / 16, kMiB), 4 * kMiB, 256 * kMiB);
}

}  // namespace

Drive::Drive(const DriveSettings& settings, const base::Clock& clock)
    : path_(settings.path),
      size_(settings.size),
      clock_(clock),
      room_(settings.size, settings.leaves_half),
      limit_(settings.size),
      operations_(settings.path, clock) {}

base::Result<std::unique_ptr<Drive>> Drive::lock(const DriveSettings& settings,
                                                 const base::Clock& clock) {
  if (auto made = base::make_directories(settings.path, 0750); !made) {
    return base::fail(base::ErrorCode::Unavailable, std::move(made).error().message);
  }
  std::unique_ptr<Drive> drive(new Drive(settings, clock));
  auto lock = base::lock_file(settings.path + "/lock", "the drive " + settings.path);
  if (!lock) return std::unexpected(std::move(lock).error());
  drive->lock_ = std::move(*lock);
  auto identity = read_identity(settings.path);
  if (!identity) return std::unexpected(std::move(identity).error());
  drive->identity_ = *identity;
  return drive;
}

std::optional<std::array<std::uint8_t, 16>> Drive::secret() const {
  if (!identity_ || identity_->version != kFormatVersion) return std::nullopt;
  return identity_->secret;
}

base::Status Drive::discard(const std::string& reason) {
  base::log_warning("the cache on a drive is discarded", {{"path", path_}, {"reason", reason}});
  for (const char* name : {"objects", "segments", "journal", "journal.new"}) {
    std::error_code error;
    fs::remove_all(fs::path(path_) / name, error);
    if (error) return base::fail_errno("cannot empty " + path_, error.value());
  }
  identity_.reset();
  return {};
}

namespace {

base::Status write_trial(const std::string& path) {
  const auto fd = open_at(path, O_RDWR | O_CREAT | O_TRUNC);
  if (!fd) return std::unexpected(fd.error().to_error(path));
  const std::array<std::uint8_t, kTrialSize> bytes{};
  if (const auto written = write_at(fd->get(), bytes, 0); !written) {
    return std::unexpected(written.error().to_error(path));
  }
  if (::fsync(fd->get()) != 0) return base::fail_errno("cannot sync " + path, errno);
  if (::unlink(path.c_str()) != 0) return base::fail_errno("cannot remove " + path, errno);
  return {};
}

}  // namespace

namespace {

// What a process that was killed had begun to write with write_file_atomically.
void remove_unfinished_files(const std::string& folder) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (const auto end = fs::directory_iterator(); !error && entries != end;
       entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    if (name.starts_with("orders.new-") || name.starts_with("store.new-")) {
      ::unlink(entries->path().c_str());
    }
  }
}

}  // namespace

base::Result<Drive::Loaded> Drive::load(const std::array<std::uint8_t, 16>& secret, Index& index,
                                        std::uint32_t number, std::string_view why_outdated) {
  number_ = number;
  evictor_ = std::make_unique<Evictor>(number, size_);
  remove_unfinished_files(path_);
  if (identity_ && identity_->version != kFormatVersion) {
    LARDER_TRY(discard("format version " + std::to_string(identity_->version) + " is not known"));
  } else if (identity_ && identity_->secret != secret) {
    LARDER_TRY(discard("it belongs to another store"));
  } else if (identity_ && !why_outdated.empty()) {
    LARDER_TRY(discard(std::string(why_outdated)));
  }
  if (!identity_) {
    Identity identity{.secret = secret};
    base::random_bytes(identity.drive);
    LARDER_TRY(base::write_file_atomically(path_ + "/store", encode_identity(identity), 0600));
    identity_ = identity;
    base::log_info("a new, empty drive is begun", {{"path", path_}});
  }
  LARDER_TRY(base::make_directories(path_ + "/objects", 0750));
  LARDER_TRY(base::make_directories(path_ + "/segments", 0750));
  segments_ = std::make_unique<SegmentSet>(path_, identity_->drive, segment_size_for(size_));
  Replay replay(index, number);
  auto journal =
      Journal::open(path_, identity_->drive, [&](const Record& record) { replay.apply(record); });
  if (!journal) return std::unexpected(std::move(journal).error());
  journal_ = std::move(*journal);
  // One that failed before a restart is not well until a write says so. How much room there is,
  // settle finds out.
  if (base::Status taken = write_trial(path_ + "/trial");
      !taken && taken.error().code != base::ErrorCode::ResourceExhausted) {
    static_cast<void>(write_failed(std::move(taken).error()));
  }
  return Loaded{.highest_generation = replay.highest_generation(),
                .replaced = replay.take_replaced()};
}

namespace {

// All entries of one drive, some at a time.
void visit_drive(const Index& index, std::uint32_t drive,
                 const std::function<void(const Entry&)>& visitor) {
  IndexPosition at;
  while (index.visit(at, 1024, [&](const Entry& entry) {
    if (entry.drive == drive) visitor(entry);
  })) {
  }
}

}  // namespace

base::Status Drive::settle(const Index& index) {
  SegmentSet::Contents contents;
  std::uint64_t charged = 0;
  std::uint64_t live = kJournalHeaderSize;  // bytes of the journal once it is compacted
  std::vector<Record> records;
  visit_drive(index, number_, [&](const Entry& entry) {
    const std::uint64_t cost = entry.cost();
    charged += cost;
    records.clear();
    add_snapshot(entry, 0, records);
    for (const Record& record : records) live += size_of(record);
    if (!entry.is_packed()) {
      kept_files_.push_back(entry.id);
      return;
    }
    kept_pieces_.push_back({.segment = entry.number,
                            .block = entry.block,
                            .blocks = static_cast<std::uint32_t>(cost / kBlockSize)});
    auto& segment = contents[entry.number];
    ++segment.live;
    segment.end = std::max(segment.end, base_offset(entry.location()) + cost);
  });
  LARDER_TRY(segments_->load(contents));
  charged_ = charged + segments_->cost();
  // By what is live: a journal that nobody compacted between many starts must not grow with each.
  compact_above_ = std::max(kSmallestCompaction, 2 * live);
  measure_room();
  return {};
}

base::Status Drive::sweep_large(const std::atomic<bool>& stop) {
  std::ranges::sort(kept_files_);
  std::error_code error;
  fs::recursive_directory_iterator entries(path_ + "/objects", error);
  for (const auto end = fs::recursive_directory_iterator(); !error && entries != end && !stop;
       entries.increment(error)) {
    if (entries->is_directory(error)) continue;
    const auto id = parse_file_number(entries->path().filename().string());
    if (id && !std::ranges::binary_search(kept_files_, *id)) ::unlink(entries->path().c_str());
  }
  if (error) return base::fail_errno("cannot list " + path_ + "/objects", error.value());
  return {};
}

base::Status Drive::sweep(const std::atomic<bool>& stop) {
  const std::lock_guard one_at_a_time(sweep_mutex_);
  if (is_swept_) return {};
  // The lists stay until all went well: what they do not name is freed.
  LARDER_TRY(sweep_large(stop));
  LARDER_TRY(segments_->sweep(kept_pieces_, stop, charged_));
  kept_files_ = std::vector<std::uint64_t>();
  kept_pieces_ = std::vector<SegmentSet::Piece>();
  is_swept_ = true;
  return {};
}

std::uint64_t Drive::used() const {
  return kDriveCost + charged_ + journal_->cost();
}

std::uint64_t Drive::available() const {
  const std::uint64_t now = used();
  const std::uint64_t limit = limit_;
  return now < limit ? limit - now : 0;
}

bool Drive::reserve(std::uint64_t bytes) {
  const std::uint64_t fixed = kDriveCost + journal_->cost();
  std::uint64_t charged = charged_;
  do {
    if (fixed + charged + bytes > limit_) return false;
  } while (!charged_.compare_exchange_weak(charged, charged + bytes));
  if (shortage() > 0) wake();
  return true;
}

std::uint64_t Drive::shortage() const {
  const std::uint64_t low = lower_watermark(limit_);
  const std::uint64_t now = available();
  const std::uint64_t awaited = awaited_;
  if (now + awaited < low) return 2 * low - now - awaited;
  // Some readers take their time: more goes, but they must not empty the drive.
  const std::uint64_t soon = now + awaited - std::min<std::uint64_t>(awaited, held_long_);
  return soon < low / 2 && awaited < 4 * low ? low / 2 - soon : 0;
}

bool Drive::is_enough_coming() const {
  const std::uint64_t awaited = awaited_;
  const std::uint64_t soon = awaited - std::min<std::uint64_t>(awaited, held_long_);
  return soon > 0 && available() + soon >= claimed_;
}

void Drive::note_awaited() {
  const std::int64_t now = steady_now();
  least_awaited_ = std::min<std::uint64_t>(least_awaited_, awaited_);
  if (now < least_since_ + kLong.count()) return;
  held_long_ = least_awaited_;
  least_awaited_ = awaited_;
  least_since_ = now;
}

void Drive::wait_for_release(std::chrono::milliseconds longest) {
  {
    std::unique_lock lock(released_mutex_);
    released_some_.wait_for(lock, longest, [this] { return !released_.empty(); });
  }
  free_released();
}

void Drive::release(Released what) {
  {
    const std::lock_guard lock(released_mutex_);
    released_.push_back(std::move(what));
  }
  released_some_.notify_all();
  wake();
}

void Drive::free_released() {
  const std::lock_guard freeing(freeing_mutex_);
  for (;;) {
    Released next{};
    {
      const std::lock_guard lock(released_mutex_);
      if (released_.empty()) return;
      next = std::move(released_.back());
      released_.pop_back();
    }
    std::uint64_t back = next.cost;
    if (next.file) {
      next.file.reset();
    } else if (next.location.segment != 0) {
      back = segments_->free(next.location.segment, next.location.block, next.cost);
    } else {
      const std::string path = path_ + "/" + large_file_name(next.id);
      if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        // Its space stays charged until the next start sweeps it away.
        base::log_error("cannot free space", {{"path", path}, {"errno", std::to_string(errno)}});
        back = 0;
      }
    }
    charged_ -= back;
    awaited_ -= next.cost;
    counters_.freed_bytes += back;
  }
}

base::Result<std::shared_ptr<OpenFile>> Drive::create_large(const Generation& generation) {
  const std::string path = path_ + "/" + large_file_name(generation.id);
  auto fd = open_at(path, O_RDWR | O_CREAT | O_EXCL);
  if (!fd && fd.error().number == ENOENT) {
    // This folder alone: where those above it are gone, so is the drive.
    const std::string folder = path_ + "/" + large_folder_name(generation.id);
    if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) {
      return base::fail_errno("cannot create the folder " + folder, errno);
    }
    fd = open_at(path, O_RDWR | O_CREAT | O_EXCL);
  }
  if (!fd) return std::unexpected(fd.error().to_error(path));
  const std::uint64_t end = data_offset(generation.location) + generation.length;
  if (::ftruncate(fd->get(), static_cast<off_t>(end)) != 0) {
    const int number = errno;
    ::unlink(path.c_str());
    if (number == EFBIG) {
      return base::fail(
          base::ErrorCode::InvalidArgument,
          "the file system below " + path_ + " has no files of " + std::to_string(end) + " bytes");
    }
    return base::fail_errno("cannot make " + path, number);
  }
  auto file = OpenFile::make(std::move(*fd), end);
  if (!file) ::unlink(path.c_str());
  return file;
}

base::Result<std::shared_ptr<OpenFile>> Drive::open_data(const Generation& generation) {
  if (generation.is_packed()) return segments_->open(generation.location.segment);
  const std::string path = path_ + "/" + large_file_name(generation.id);
  auto fd = open_at(path, O_RDWR);
  if (!fd) return std::unexpected(fd.error().to_error(path));
  const std::uint64_t end = data_offset(generation.location) + generation.length;
  const auto size = file_size(fd->get());
  if (!size) return std::unexpected(size.error().to_error(path));
  if (*size != end) return base::fail(base::ErrorCode::DataLoss, path + " has the wrong length");
  return OpenFile::make(std::move(*fd), end);
}

base::Result<base::UniqueFd> Drive::open_to_read(std::uint64_t generation, const Location& at) {
  const std::string path =
      path_ + "/" + (at.segment != 0 ? segment_file_name(at.segment) : large_file_name(generation));
  auto fd = open_at(path, O_RDONLY);
  if (!fd) return std::unexpected(fd.error().to_error(path));
  return std::move(*fd);
}

bool Drive::wants_compaction() const {
  if (lost_records_ > 0 && !is_failing_ && steady_now() >= make_up_at_) return true;
  return journal_->size() > compact_above_;
}

void Drive::compaction_ended(bool succeeded) {
  // After success the file is what is live; after failure it may grow a little before the next try.
  const std::uint64_t size = journal_->size();
  compact_above_ = succeeded ? std::max(kSmallestCompaction, 2 * size) : size + kMiB;
  if (!succeeded) make_up_at_ = steady_now() + kRefusal.count();
}

base::Error Drive::write_failed(base::Error error) {
  if (error.code == base::ErrorCode::Unavailable ||
      error.code == base::ErrorCode::InvalidArgument) {
    return error;
  }
  ++counters_.write_errors;
  {
    const std::lock_guard lock(errors_mutex_);
    if (is_gone_) return error;
    errors_.write = error.message;
  }
  if (error.code == base::ErrorCode::NotFound) look_again_at_ = steady_now();
  if (error.code == base::ErrorCode::ResourceExhausted) {
    const std::lock_guard lock(room_mutex_);
    room_.met_full(used(), steady_now());
    apply_room();
    return error;
  }
  {
    const std::lock_guard lock(errors_mutex_);
    try_again_at_ = steady_now() + kRefusal.count();
    is_failing_ = true;
  }
  base::log_error("a drive did not take a write", {{"path", path_}, {"error", error.message}});
  return error;
}

base::Error Drive::read_failed(base::Error error) {
  if (error.code == base::ErrorCode::Unavailable) return error;
  ++counters_.read_errors;
  {
    const std::lock_guard lock(errors_mutex_);
    errors_.read = error.message;
  }
  if (error.code == base::ErrorCode::NotFound) look_again_at_ = steady_now();
  base::log_error("a drive failed to read", {{"path", path_}, {"error", error.message}});
  return error;
}

bool Drive::is_there() {
  if (is_gone_) return false;
  look_again_at_ = steady_now() + kBetweenLooks.count();
  const auto reason = why_gone(path_, lock_.get());
  if (!reason) return true;
  {
    const std::lock_guard lock(errors_mutex_);
    errors_.write = *reason;
    is_failing_ = true;
    if (is_gone_.exchange(true)) return false;
  }
  base::log_error("a drive is gone and is not used until the next start",
                  {{"path", path_}, {"reason", *reason}});
  return false;
}

void Drive::look() {
  if (steady_now() >= look_again_at_) static_cast<void>(is_there());
}

void Drive::measure_room() {
  if (is_gone_) return;  // the file system there is another one
  // As it stands: what is freed between the two looks would count twice.
  const std::uint64_t held = used();
  const auto space = file_system_space(path_);
  if (!space) return;
  const std::lock_guard lock(room_mutex_);
  room_.measure(*space, held, steady_now());
  apply_room();
}

// Requires: room_mutex_.
void Drive::apply_room() {
  limit_ = room_.limit();
  evictor_->set_size(room_.limit());
  const bool was_short = is_short_.exchange(room_.is_short());
  if (room_.is_short() && !was_short) {
    base::log_warning(
        "the file system gives a drive less than its size: the drive evicts as if it were smaller",
        {{"path", path_},
         {"size", std::to_string(size_)},
         {"limit", std::to_string(room_.limit())}});
  } else if (was_short && !room_.is_short()) {
    base::log_info("a drive has its whole size again", {{"path", path_}});
  }
}

std::int64_t Drive::steady_now() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady().time_since_epoch())
      .count();
}

void Drive::try_again() {
  const std::int64_t due = try_again_at_;
  if (!is_failing_ || is_gone_ || steady_now() < due) return;
  // Whatever is there instead is not to be written to.
  if (!is_there()) return;
  base::Status taken = write_trial(path_ + "/trial");
  if (!taken) {
    // A file system that is full works: the drive becomes smaller.
    const base::Error told = write_failed(std::move(taken).error());
    if (told.code != base::ErrorCode::ResourceExhausted) return;
  }
  {
    const std::lock_guard lock(errors_mutex_);
    // Another write may have failed meanwhile.
    if (try_again_at_ != due) return;
    is_failing_ = false;
  }
  base::log_info("a drive takes writes again", {{"path", path_}});
}

Drive::LastErrors Drive::last_errors() const {
  const std::lock_guard lock(errors_mutex_);
  return errors_;
}

void Drive::wrote(std::uint64_t bytes) {
  unsynced_ += bytes;
  if (unsynced_ >= kSyncAfter) wake();
}

base::Status Drive::sync(bool now_anyway) {
  const std::int64_t now = steady_now();
  if (!now_anyway && unsynced_ < kSyncAfter && now < synced_at_ + 1'000'000) return {};
  synced_at_ = now;
  unsynced_ = 0;
  return journal_->sync();
}

void Drive::wake() {
  {
    const std::lock_guard lock(work_mutex_);
    has_work_ = true;
  }
  work_.notify_one();
}

void Drive::wait_for_work() {
  std::unique_lock lock(work_mutex_);
  work_.wait_for(lock, std::chrono::seconds(1), [this] { return has_work_; });
  has_work_ = false;
}

}  // namespace larder::store
