#include "store/segment_set.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/encoding.h"
#include "store/generation.h"
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

base::Status SegmentSet::load(std::span<const std::shared_ptr<Generation>> live) {
  std::unordered_map<std::uint32_t, std::vector<std::shared_ptr<Generation>>> by_segment;
  for (const auto& generation : live) {
    by_segment[generation->location.segment].push_back(generation);
  }
  const std::lock_guard lock(mutex_);
  // A number that is still named somewhere is not used again, even if its file is gone.
  for (const auto& [segment, in_it] : by_segment) highest_ = std::max(highest_, segment);
  std::error_code error;
  std::filesystem::directory_iterator entries(folder_ + "/segments", error);
  if (error) return base::fail_errno("cannot list " + folder_ + "/segments", error.value());
  for (const auto end = std::filesystem::directory_iterator(); entries != end;
       entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    const auto number = parse_file_number(name);
    if (!number || *number == 0 || *number > UINT32_MAX) continue;  // not a file of ours
    const auto segment = static_cast<std::uint32_t>(*number);
    highest_ = std::max(highest_, segment);
    LARDER_TRY(load_one(entries->path().string(), by_segment[segment]));
  }
  return {};
}

base::Status SegmentSet::load_one(const std::string& name,
                                  std::span<const std::shared_ptr<Generation>> in_it) {
  if (in_it.empty()) {
    ::unlink(name.c_str());
    return {};
  }
  const std::uint32_t segment = in_it.front()->location.segment;
  const auto fd = open_at(name, O_RDWR);
  if (!fd) return std::unexpected(fd.error().to_error(name));
  const auto size = file_size(fd->get());
  if (!size) return std::unexpected(size.error().to_error(name));
  segments_[segment].live = in_it.size();
  if (segment == highest_ && *size <= segment_size_) {
    active_ = segment;
    next_offset_ = std::max(round_up(*size, kBlockSize), kBlockSize);
  }
  // Punch the gaps between live objects that still hold data: written without a record, or removed
  // by a process that died before it could free them.
  std::vector<const Generation*> sorted;
  for (const auto& generation : in_it) {
    sorted.push_back(generation.get());
    const Location& at = generation->location;
    const std::uint64_t end = base_offset(at) + packed_size(at, generation->length);
    if (segment == active_) next_offset_ = std::max(next_offset_, end);
  }
  std::ranges::sort(sorted, {}, [](const Generation* g) { return g->location.block; });
  std::uint64_t gap = kBlockSize;
  const auto close_gap = [&](std::uint64_t end) {
    if (end <= gap) return;
    const off_t data = ::lseek(fd->get(), static_cast<off_t>(gap), SEEK_DATA);
    // A failure costs disk space only until the segment goes.
    if (data >= 0 && static_cast<std::uint64_t>(data) < end) {
      static_cast<void>(punch(fd->get(), gap, end - gap));
    }
  };
  for (const Generation* generation : sorted) {
    close_gap(base_offset(generation->location));
    gap = std::max(gap, base_offset(generation->location) +
                            packed_size(generation->location, generation->length));
  }
  close_gap(round_up(*size, kBlockSize));
  return {};
}

base::Result<std::shared_ptr<OpenFile>> SegmentSet::open_locked(std::uint32_t segment) {
  const auto entry = segments_.find(segment);
  if (entry == segments_.end()) {
    return base::fail(base::ErrorCode::NotFound, "no segment " + path_of(segment));
  }
  if (auto file = entry->second.file.lock()) return file;
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
