#include "store/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "store/byte_order.h"
#include "store/file_access.h"

namespace larder::store {
namespace {

constexpr std::size_t kChunk = 1 << 20;
constexpr off_t kAhead = 16 << 20;  // bytes asked of the drive in advance while replaying

}  // namespace

Journal::Journal(std::string folder, const std::array<std::uint8_t, 16>& drive)
    : folder_(std::move(folder)), drive_(drive) {}

base::Result<std::unique_ptr<Journal>> Journal::open(
    const std::string& folder, const std::array<std::uint8_t, 16>& drive,
    const std::function<void(const Record&)>& sink) {
  std::unique_ptr<Journal> journal(new Journal(folder, drive));
  const std::string path = folder + "/journal";
  ::unlink((folder + "/journal.new").c_str());  // a compaction that did not end
  auto fd = open_at(path, O_RDWR);
  if (!fd && fd.error().number != ENOENT) return std::unexpected(fd.error().to_error(path));
  bool is_ours = false;
  if (fd) {
    std::array<std::uint8_t, kJournalHeaderSize> bytes{};
    const auto got = read_at(fd->get(), bytes, 0);
    if (!got) return std::unexpected(got.error().to_error(path));
    const auto header = parse_journal_header(std::span(bytes).first(*got));
    is_ours = header && header->version == kFormatVersion && header->drive == drive;
    if (is_ours) {
      journal->epoch_ = header->epoch;
    } else {
      base::log_warning("the journal cannot be used, the drive starts empty", {{"path", path}});
    }
  }
  if (is_ours) {
    journal->fd_ = std::move(*fd);
    LARDER_TRY(journal->replay(sink));
    return journal;
  }
  LARDER_TRY(journal->start_file("journal", journal->fd_, journal->epoch_));
  journal->size_ = kJournalHeaderSize;
  LARDER_TRY(base::sync_folder(folder));
  return journal;
}

base::Status Journal::start_file(const std::string& name, base::UniqueFd& fd,
                                 std::uint64_t& epoch) const {
  const std::string path = folder_ + "/" + name;
  auto opened = open_at(path, O_RDWR | O_CREAT | O_TRUNC);
  if (!opened) return std::unexpected(opened.error().to_error(path));
  std::array<std::uint8_t, 8> random{};
  base::random_bytes(random);
  epoch = load_le<std::uint64_t>(random.data());
  const auto written = write_at(opened->get(), encode({.epoch = epoch, .drive = drive_}), 0);
  if (!written) return std::unexpected(written.error().to_error(path));
  fd = std::move(*opened);
  return {};
}

base::Status Journal::replay(const std::function<void(const Record&)>& sink) {
  const std::string path = folder_ + "/journal";
  std::vector<std::uint8_t> buffer(kChunk);
  std::size_t kept = 0;  // bytes of an incomplete record at the buffer's start
  std::uint64_t offset = kJournalHeaderSize;
  for (;;) {
    // The drive reads on while we work.
    static_cast<void>(::posix_fadvise(fd_.get(), static_cast<off_t>(offset + kept + kChunk), kAhead,
                                      POSIX_FADV_WILLNEED));
    const auto got = read_at(fd_.get(), std::span(buffer).subspan(kept), offset + kept);
    if (!got) return std::unexpected(got.error().to_error(path));
    const auto bytes = std::span<const std::uint8_t>(buffer).first(kept + *got);
    const ParsedRecords parsed = parse_records(bytes, epoch_, offset, sink);
    offset += parsed.consumed;
    kept = bytes.size() - parsed.consumed;
    std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(parsed.consumed), bytes.end(),
              buffer.begin());
    if (*got == 0 || !parsed.needs_more) break;
  }
  const auto size = file_size(fd_.get());
  if (!size) return std::unexpected(size.error().to_error(path));
  if (*size > offset) {
    base::log_warning("the end of the journal is torn and was cut off",
                      {{"path", path}, {"bytes", std::to_string(*size - offset)}});
    if (::ftruncate(fd_.get(), static_cast<off_t>(offset)) != 0) {
      return base::fail_errno("cannot cut " + path, errno);
    }
  }
  size_ = offset;
  return {};
}

base::Status Journal::append(const Record& record) {
  const std::lock_guard lock(mutex_);
  const EncodedRecord encoded = encode(record, epoch_, size_);
  // A write that fails half way is overwritten by the next one: size_ moves only when it is whole.
  const auto written = write_at(fd_.get(), encoded.view(), size_);
  if (!written) return std::unexpected(written.error().to_error(folder_ + "/journal"));
  size_ += encoded.size;
  is_dirty_ = true;
  if (is_compacting_) carried_.push_back(record);
  return {};
}

base::Status Journal::append_uses(std::span<const std::uint64_t> generations) {
  std::vector<Record> records;
  while (!generations.empty()) {
    const auto some = generations.first(std::min<std::size_t>(kUsesPerRecord, generations.size()));
    generations = generations.subspan(some.size());
    Record& record = records.emplace_back();
    record.type = RecordType::Uses;
    record.count = static_cast<std::uint32_t>(some.size());
    std::ranges::copy(some, record.values.begin());
  }
  const std::lock_guard lock(mutex_);
  std::uint64_t end = size_;
  LARDER_TRY(write_records("journal", fd_.get(), records, epoch_, end));
  size_ = end;
  if (is_compacting_) carried_.insert(carried_.end(), records.begin(), records.end());
  return {};
}

base::Status Journal::sync() {
  const std::lock_guard one_at_a_time(sync_mutex_);
  int fd = -1;
  {
    const std::lock_guard lock(mutex_);
    if (!is_dirty_) return {};
    is_dirty_ = false;
    // A copy, so that the sync runs outside the lock even while a compaction swaps the file.
    fd = ::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0);
  }
  const base::UniqueFd copy(fd);
  if (fd < 0 || ::fdatasync(fd) != 0) {
    const int number = errno;
    const std::lock_guard lock(mutex_);
    is_dirty_ = true;
    return base::fail_errno("cannot sync " + folder_ + "/journal", number);
  }
  return {};
}

base::Status Journal::begin_compaction() {
  const std::lock_guard lock(mutex_);
  LARDER_TRY(start_file("journal.new", next_fd_, next_epoch_));
  next_size_ = kJournalHeaderSize;
  carried_.clear();
  is_compacting_ = true;
  return {};
}

base::Status Journal::write_records(const char* name, int fd, std::span<const Record> records,
                                    std::uint64_t epoch, std::uint64_t& offset) const {
  std::vector<std::uint8_t> buffer;
  std::uint64_t end = offset;
  const auto flush = [&]() -> base::Status {
    const auto written = write_at(fd, buffer, end);
    if (!written) return std::unexpected(written.error().to_error(folder_ + "/" + name));
    end += buffer.size();
    buffer.clear();
    return {};
  };
  for (const Record& record : records) {
    const EncodedRecord encoded = encode(record, epoch, end + buffer.size());
    buffer.insert(buffer.end(), encoded.view().begin(), encoded.view().end());
    if (buffer.size() >= kChunk) LARDER_TRY(flush());
  }
  LARDER_TRY(flush());
  offset = end;
  return {};
}

base::Status Journal::add_live(std::span<const Record> records) {
  return write_records("journal.new", next_fd_.get(), records, next_epoch_, next_size_);
}

base::Status Journal::finish_compaction() {
  // The bulk is synced before appends have to wait.
  if (::fdatasync(next_fd_.get()) != 0) {
    return base::fail_errno("cannot sync " + folder_ + "/journal.new", errno);
  }
  const std::lock_guard lock(mutex_);
  LARDER_TRY(write_records("journal.new", next_fd_.get(), carried_, next_epoch_, next_size_));
  if (::fdatasync(next_fd_.get()) != 0) {
    return base::fail_errno("cannot sync " + folder_ + "/journal.new", errno);
  }
  const std::string path = folder_ + "/journal";
  if (std::rename((path + ".new").c_str(), path.c_str()) != 0) {
    return base::fail_errno("cannot rename " + path + ".new", errno);
  }
  fd_ = std::move(next_fd_);
  epoch_ = next_epoch_;
  size_ = next_size_;
  is_dirty_ = false;
  is_compacting_ = false;
  carried_ = {};
  return base::sync_folder(folder_);
}

void Journal::abandon_compaction() {
  const std::lock_guard lock(mutex_);
  is_compacting_ = false;
  carried_ = {};
  next_fd_.reset();
  ::unlink((folder_ + "/journal.new").c_str());
}

}  // namespace larder::store
