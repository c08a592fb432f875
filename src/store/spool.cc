#include "store/spool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "store/file_access.h"
#include "store/layout.h"
#include "store/store_parts.h"

namespace larder::store {
namespace {

// Longest spool: of its drive, and in bytes.
constexpr std::uint64_t kShareOfDrive = 8;
constexpr std::uint64_t kLongestSpool = 4ULL << 30;

}  // namespace

Spool::Spool(Drive& drive, base::UniqueFd file, std::uint64_t limit,
             std::function<bool(std::uint64_t)> reserve)
    : drive_(drive), file_(std::move(file)), limit_(limit), reserve_(std::move(reserve)) {}

Spool::~Spool() {
  // Freeing gigabytes takes a drive seconds, and the last user may be a loop.
  drive_.expect_release(reserved_);
  drive_.release({.cost = reserved_, .file = std::move(file_)});
}

base::Status Spool::append(std::span<const std::uint8_t> bytes) {
  const std::uint64_t needed = round_up(size_ + bytes.size(), kSliceSize);
  if (needed > limit_) {
    return base::fail(base::ErrorCode::ResourceExhausted, "too long to be spooled");
  }
  if (needed > reserved_) {
    if (!reserve_(needed - reserved_)) {
      return base::fail(base::ErrorCode::ResourceExhausted,
                        "no space can be freed on the drive " + drive_.path());
    }
    reserved_ = needed;
  }
  const Operation operation(drive_.operations());
  if (operation.is_refused()) return std::unexpected(drive_.operations().hangs());
  if (const auto written = write_at(file_.get(), bytes, size_); !written) {
    return std::unexpected(drive_.write_failed(written.error().to_error(drive_.path())));
  }
  size_ += bytes.size();
  return {};
}

base::Status Spool::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  const Operation operation(drive_.operations());
  if (operation.is_refused()) return std::unexpected(drive_.operations().hangs());
  const auto got = read_at(file_.get(), out, offset);
  if (!got) return std::unexpected(drive_.read_failed(got.error().to_error(drive_.path())));
  if (*got < out.size()) return base::fail(base::ErrorCode::DataLoss, "a spool is too short");
  return {};
}

base::Result<std::unique_ptr<Spool>> Store::spool() {
  Drive* const drive = parts_->choose_drive();
  if (drive == nullptr) {
    return base::fail(base::ErrorCode::Unavailable, "every drive is failing");
  }
  const std::string path = drive->path() + "/spool";
  // The name is gone before anything is in it: whatever happens, the bytes go with the last user.
  const Operation operation(drive->operations());
  if (operation.is_refused()) return std::unexpected(drive->operations().hangs());
  const std::lock_guard lock(drive->spool_mutex());
  auto file = open_at(path, O_RDWR | O_CREAT | O_TRUNC);
  if (!file) return std::unexpected(drive->write_failed(file.error().to_error(path)));
  ::unlink(path.c_str());
  return std::make_unique<Spool>(*drive, std::move(*file),
                                 std::min(kLongestSpool, drive->limit() / kShareOfDrive),
                                 [parts = parts_.get(), drive](std::uint64_t bytes) {
                                   return parts->make_room(*drive, bytes, 0, 0);
                                 });
}

}  // namespace larder::store
