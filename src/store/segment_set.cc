#include "store/segment_set.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/log.h"
#include "store/layout.h"

namespace larder::store {

SegmentSet::SegmentSet(std::string folder, const std::array<std::uint8_t, 16>& drive,
                       std::uint64_t segment_size)
    : folder_(std::move(folder)), drive_(drive), segment_size_(segment_size) {}

std::string SegmentSet::path_of(std::uint32_t segment) const {
  return folder_ + "/" + segment_file_name(segment);
}

std::uint64_t SegmentSet::cost() const {
  const std::lock_guard lock(mutex_);
  return segments_.size() * segment_cost(segment_size_);
}

namespace {

// The segments in the folder, with their paths.
base::Result<std::vector<std::pair<std::uint32_t, std::string>>> list_segments(
    const std::string& folder) {
  std::vector<std::pair<std::uint32_t, std::string>> all;
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (const auto end = std::filesystem::directory_iterator(); !error && entries != end;
       entries.increment(error)) {
    const auto number = parse_file_number(entries->path().filename().string());
    if (!number || *number == 0 || *number > UINT32_MAX) continue;  // not a file of ours
    all.emplace_back(static_cast<std::uint32_t>(*number), entries->path().string());
  }
  if (error) return base::fail_errno("cannot list " + folder, error.value());
  return all;
}

}  // namespace

base::Status SegmentSet::load(const Contents& contents) {
  const auto files = list_segments(folder_ + "/segments");
  if (!files) return std::unexpected(files.error());
  const std::lock_guard lock(mutex_);
  // A number that is still named somewhere is not used again, even if its file is gone.
  for (const auto& [segment, content] : contents) highest_ = std::max(highest_, segment);
  for (const auto& [segment, path] : *files) {
    highest_ = std::max(highest_, segment);
    if (const auto content = contents.find(segment); content != contents.end()) {
      segments_[segment].live = content->second.live;
    }
  }
  // The last one is filled further, behind everything that it holds.
  if (segments_.contains(highest_)) {
    const auto fd = open_at(path_of(highest_), O_RDWR);
    const auto size =
        fd ? file_size(fd->get()) : IoResult<std::uint64_t>(std::unexpected(fd.error()));
    if (!size) {
      base::log_warning("a segment is not filled further",
                        {{"reason", size.error().to_error(path_of(highest_)).message}});
    } else if (*size <= segment_size_) {
      active_ = highest_;
      next_offset_ = std::max({round_up(*size, kBlockSize), kBlockSize, contents.at(highest_).end});
    }
  }
  return {};
}

namespace {

// Frees what is in none of the pieces, of which there is at least one. Returns the bytes of gaps
// that could not be freed.
IoResult<std::uint64_t> free_gaps(const std::string& path,
                                  std::span<const SegmentSet::Piece> live) {
  const auto fd = open_at(path, O_RDWR);
  if (!fd) return std::unexpected(fd.error());
  const auto size = file_size(fd->get());
  if (!size) return std::unexpected(size.error());
  // Gaps that still hold data: written without a record, or removed by a process that died before
  // it could free them.
  std::uint64_t gap = kBlockSize;
  std::uint64_t not_freed = 0;
  const auto close_gap = [&](std::uint64_t end) {
    if (end <= gap) return;
    const off_t data = ::lseek(fd->get(), static_cast<off_t>(gap), SEEK_DATA);
    if (data < 0 || static_cast<std::uint64_t>(data) >= end) return;
    if (!punch(fd->get(), gap, end - gap)) not_freed += end - gap;
  };
  for (const SegmentSet::Piece& piece : live) {
    const std::uint64_t begin = piece.block * kBlockSize;
    close_gap(begin);
    gap = std::max(gap, begin + piece.blocks * kBlockSize);
  }
  close_gap(round_up(*size, kBlockSize));
  return not_freed;
}

}  // namespace

base::Status SegmentSet::sweep(std::span<Piece> live, const std::atomic<bool>& stop,
                               std::atomic<std::uint64_t>& charged) {
  const auto files = list_segments(folder_ + "/segments");
  if (!files) return std::unexpected(files.error());
  std::ranges::sort(live, {}, [](const Piece& piece) {
    return std::uint64_t{piece.segment} << 32 | piece.block;
  });
  for (const auto& [segment, path] : *files) {
    if (stop) return {};
    const auto in_it = std::ranges::equal_range(live, segment, {}, &Piece::segment);
    if (in_it.empty()) {
      ::unlink(path.c_str());
      continue;
    }
    const auto freed = free_gaps(path, in_it);
    // One that is gone was emptied since the folder was listed.
    if (!freed && freed.error().number != ENOENT) {
      base::log_warning("a segment was not looked through for space to free",
                        {{"reason", freed.error().to_error(path).message}});
    }
    if (!freed || *freed == 0) continue;
    const std::lock_guard lock(mutex_);
    const auto entry = segments_.find(segment);
    if (entry == segments_.end()) continue;  // emptied and unlinked meanwhile
    charged += *freed;
    entry->second.held_back += *freed;
  }
  return {};
}

base::Result<std::shared_ptr<OpenFile>> SegmentSet::open_locked(std::uint32_t segment) {
  const auto entry = segments_.find(segment);
  if (entry == segments_.end()) {
    return base::fail(base::ErrorCode::NotFound, "no segment " + path_of(segment));
  }
  // Under a new mapping the file is read again.
  if (auto file = entry->second.file.lock(); file && !file->has_faulted()) return file;
  auto fd = open_at(path_of(segment), O_RDWR);
  if (!fd) return std::unexpected(fd.error().to_error(path_of(segment)));
  std::string header(kBlockSize, '\0');
  const auto got =
      read_at(fd->get(), {reinterpret_cast<std::uint8_t*>(header.data()), header.size()}, 0);
  if (!got) return std::unexpected(got.error().to_error(path_of(segment)));
  if (!is_segment_header(header, drive_, segment)) {
    return base::fail(base::ErrorCode::DataLoss, path_of(segment) + " is not a segment");
  }
  const auto size = file_size(fd->get());
  if (!size) return std::unexpected(size.error().to_error(path_of(segment)));
  // It is longer than ours when the drive was larger once.
  auto file = OpenFile::make(std::move(*fd), std::max(segment_size_, *size));
  if (file) entry->second.file = *file;
  return file;
}

base::Result<std::shared_ptr<OpenFile>> SegmentSet::open(std::uint32_t segment) {
  const std::lock_guard lock(mutex_);
  return open_locked(segment);
}

base::Status SegmentSet::start_segment(Place& place) {
  const std::uint32_t segment = highest_ + 1;
  const std::string path = path_of(segment);
  auto fd = open_at(path, O_RDWR | O_CREAT | O_EXCL);
  if (!fd) return std::unexpected(fd.error().to_error(path));
  if (const auto written =
          write_at(fd->get(), base::as_bytes(encode_segment_header(drive_, segment)), 0);
      !written) {
    ::unlink(path.c_str());
    return std::unexpected(written.error().to_error(path));
  }
  auto file = OpenFile::make(std::move(*fd), segment_size_);
  if (!file) {
    ::unlink(path.c_str());
    return std::unexpected(std::move(file).error());
  }
  const std::uint32_t sealed = active_;
  highest_ = segment;
  active_ = segment;
  next_offset_ = kBlockSize;
  active_file_ = *file;
  segments_[segment].file = *file;
  place.charged = segment_cost(segment_size_);
  const auto old = segments_.find(sealed);
  if (old != segments_.end() && old->second.live == 0) place.credited = drop(sealed);
  return {};
}

base::Result<SegmentSet::Place> SegmentSet::allocate(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  Place place;
  if (active_file_ && active_file_->has_faulted()) active_file_.reset();
  if (active_ != 0 && !active_file_) {
    auto file = open_locked(active_);
    // A segment that cannot be opened any more is left alone; a new one is started instead.
    if (file) active_file_ = *file;
  }
  if (!active_file_ || next_offset_ + bytes > segment_size_) LARDER_TRY(start_segment(place));
  place.segment = active_;
  place.block = static_cast<std::uint32_t>(next_offset_ / kBlockSize);
  place.file = active_file_;
  next_offset_ += bytes;
  ++segments_[active_].live;
  return place;
}

std::uint64_t SegmentSet::drop(std::uint32_t segment) {
  const std::uint64_t back = segments_[segment].held_back + segment_cost(segment_size_);
  if (::unlink(path_of(segment).c_str()) != 0 && errno != ENOENT) return 0;
  segments_.erase(segment);
  return back;
}

std::uint64_t SegmentSet::free(std::uint32_t segment, std::uint32_t block, std::uint64_t bytes) {
  std::shared_ptr<OpenFile> file;
  {
    const std::lock_guard lock(mutex_);
    auto opened = open_locked(segment);
    if (opened) file = std::move(*opened);
  }
  const bool punched = file && punch(file->fd(), block * kBlockSize, bytes);
  const std::lock_guard lock(mutex_);
  const auto entry = segments_.find(segment);
  if (entry == segments_.end()) return bytes;  // the file was lost, and the space with it
  std::uint64_t back = 0;
  if (punched) {
    back = bytes;
  } else {
    entry->second.held_back += bytes;
  }
  if (--entry->second.live == 0 && segment != active_) back += drop(segment);
  return back;
}

}  // namespace larder::store
