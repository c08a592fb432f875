#include "content/piece_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/encoding.h"
#include "base/file.h"

namespace larder::content {

using base::ErrorCode;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;

namespace {

// Up to `size` bytes at `offset`; fewer only at the end of the file.
Result<std::size_t> read_at(int fd, std::uint8_t* data, std::size_t size, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < size) {
    const auto got = ::pread(fd, data + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read a partial file", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Status write_at(int fd, std::span<const std::uint8_t> bytes, std::uint64_t offset) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto put =
        ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno("cannot write a partial file", errno);
    done += static_cast<std::size_t>(put);
  }
  return {};
}

bool is_piece(const ManifestFile& file, std::uint64_t index, std::span<const std::uint8_t> bytes) {
  const auto digest = crypto::sha256(bytes);
  return std::string_view(file.pieces).substr(index * digest.size(), digest.size()) ==
         base::as_text(digest);
}

// True when the descriptor's file is the one at the path: it may have been renamed away between
// open and lock.
bool is_at(int fd, const std::string& path) {
  struct stat opened{};
  struct stat named{};
  return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

}  // namespace

PieceFile::PieceFile(std::string path, ManifestFile expected, base::UniqueFd fd)
    : path_(std::move(path)), expected_(std::move(expected)), fd_(std::move(fd)) {}

Result<PieceFile> PieceFile::open(std::string path, ManifestFile expected, mode_t mode) {
  if (expected.pieces.size() != piece_count(expected.size) * 32 || !is_sha256(expected.sha256)) {
    return fail(ErrorCode::InvalidArgument, "the description of the file is malformed");
  }
  base::UniqueFd fd(
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode));
  if (!fd) return fail_errno("cannot open " + path, errno);
  struct stat about{};
  if (::fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    return fail(ErrorCode::InvalidArgument, path + " is not a file");
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 || !is_at(fd.get(), path)) {
    return fail(ErrorCode::FailedPrecondition, path + " is in use by another download");
  }
  PieceFile file(std::move(path), std::move(expected), std::move(fd));
  LARDER_TRY(file.keep_right_pieces());
  return file;
}

Status PieceFile::keep_right_pieces() {
  std::vector<std::uint8_t> buffer;
  const auto count = piece_count(expected_.size);
  for (std::uint64_t index = 0; index < count; ++index) {
    buffer.resize(static_cast<std::size_t>(piece_size(expected_.size, index)));
    const auto got = read_at(fd_.get(), buffer.data(), buffer.size(), verified_);
    if (!got) return std::unexpected(got.error());
    if (*got != buffer.size() || !is_piece(expected_, index, buffer)) break;
    whole_.update(buffer);
    verified_ += buffer.size();
  }
  if (::ftruncate(fd_.get(), static_cast<off_t>(verified_)) != 0) {
    return fail_errno("cannot cut " + path_, errno);
  }
  return {};
}

Status PieceFile::append(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (complete()) {
      return fail(ErrorCode::DataLoss, "more bytes than the file has");
    }
    const auto wanted =
        static_cast<std::size_t>(piece_size(expected_.size, verified_ / kPieceSize));
    const auto part = bytes.first(std::min(wanted - piece_.size(), bytes.size()));
    piece_.insert(piece_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (piece_.size() == wanted) LARDER_TRY(take_piece());
  }
  return {};
}

Status PieceFile::take_piece() {
  const auto index = verified_ / kPieceSize;
  if (!is_piece(expected_, index, piece_)) {
    piece_.clear();
    return fail(ErrorCode::DataLoss, "piece " + std::to_string(index) + " is wrong");
  }
  const auto written = write_at(fd_.get(), piece_, verified_);
  if (written) {
    whole_.update(piece_);
    verified_ += piece_.size();
  }
  piece_.clear();
  return written;
}

Status PieceFile::commit(const std::string& target) {
  if (!complete()) return fail(ErrorCode::FailedPrecondition, "the file is not complete");
  if (base::to_hex(whole_.finish()) != expected_.sha256) {
    return fail(ErrorCode::DataLoss, "the pieces are right, but the whole file is not");
  }
  return base::put_in_place(fd_.get(), path_, target);
}

}  // namespace larder::content
