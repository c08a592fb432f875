#include "content/library.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/random.h"

namespace larder::content {

using base::ErrorCode;
using base::fail;
using base::fail_errno;
using base::Result;
using base::Status;

namespace {

constexpr mode_t kFolderMode = 0750;
constexpr mode_t kFileMode = 0640;
constexpr std::string_view kUploadPrefix = "upload-";

// Uploads of a process that ended: nobody will complete them.
void remove_abandoned_uploads(const std::string& staging) {
  DIR* folder = ::opendir(staging.c_str());
  if (folder == nullptr) return;
  while (const dirent* entry = ::readdir(folder)) {  // NOLINT(concurrency-mt-unsafe)
    if (std::string_view(entry->d_name).starts_with(kUploadPrefix)) {
      ::unlink((staging + "/" + entry->d_name).c_str());
    }
  }
  ::closedir(folder);
}

}  // namespace

Upload::Upload(const Library& library, std::string path, base::UniqueFd fd)
    : library_(&library), path_(std::move(path)), fd_(std::move(fd)) {}

Upload::Upload(Upload&& other) noexcept
    : library_(other.library_),
      path_(std::exchange(other.path_, {})),
      fd_(std::move(other.fd_)),
      digests_(std::move(other.digests_)) {}

Upload::~Upload() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Status Upload::write(std::span<const std::uint8_t> bytes) {
  if (digests_.size() + bytes.size() > kFileSizeLimit) {
    return fail(ErrorCode::ResourceExhausted, "the file is too large");
  }
  LARDER_TRY(base::write_all(fd_.get(), base::as_text(bytes)));
  digests_.update(bytes);
  return {};
}

Result<ManifestFile> Upload::commit(std::string name) {
  if (!is_safe_name(name)) {
    return fail(ErrorCode::InvalidArgument, "the file's name is not acceptable");
  }
  auto file = digests_.finish(std::move(name));
  if (library_->contains(file)) return file;
  LARDER_TRY(library_->make_room_for(file.sha256));
  LARDER_TRY(base::put_in_place(fd_.get(), path_, library_->path_of(file.sha256)));
  path_.clear();
  return file;
}

Library::Library(std::string folder, base::UniqueFd lock)
    : folder_(std::move(folder)), lock_(std::move(lock)) {}

Result<std::unique_ptr<Library>> Library::open(const std::string& folder) {
  LARDER_TRY(base::make_directories(folder, kFolderMode));
  LARDER_TRY(base::make_directories(folder + "/files", kFolderMode));
  LARDER_TRY(base::make_directories(folder + "/staging", kFolderMode));
  auto lock = base::lock_file(folder + "/library.lock", "the content library " + folder);
  if (!lock) return std::unexpected(lock.error());
  remove_abandoned_uploads(folder + "/staging");
  return std::unique_ptr<Library>(new Library(folder, std::move(*lock)));
}

std::string Library::path_of(std::string_view sha256) const {
  return folder_ + "/files/" + std::string(sha256.substr(0, 2)) + "/" + std::string(sha256);
}

Status Library::make_room_for(std::string_view sha256) const {
  const auto folder = folder_ + "/files/" + std::string(sha256.substr(0, 2));
  if (::mkdir(folder.c_str(), kFolderMode) == 0) return base::sync_folder(folder_ + "/files");
  if (errno != EEXIST) return fail_errno("cannot make " + folder, errno);
  return {};
}

Result<std::optional<OpenFile>> Library::open_file(std::string_view sha256) const {
  if (!is_sha256(sha256)) return std::nullopt;
  const auto path = path_of(sha256);
  OpenFile file{.fd = base::UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW))};
  if (!file.fd) {
    if (errno == ENOENT) return std::nullopt;
    return fail_errno("cannot open " + path, errno);
  }
  struct stat about{};
  if (::fstat(file.fd.get(), &about) != 0) return fail_errno("cannot stat " + path, errno);
  file.size = static_cast<std::uint64_t>(about.st_size);
  return std::optional(std::move(file));
}

bool Library::contains(const ManifestFile& file) const {
  struct stat about{};
  return is_sha256(file.sha256) && ::lstat(path_of(file.sha256).c_str(), &about) == 0 &&
         S_ISREG(about.st_mode) && static_cast<std::uint64_t>(about.st_size) == file.size;
}

std::vector<ManifestFile> Library::missing(const Manifest& manifest) const {
  std::vector<ManifestFile> absent;
  std::set<std::string_view> seen;
  for (const auto& file : manifest.files) {
    if (seen.insert(file.sha256).second && !contains(file)) absent.push_back(file);
  }
  return absent;
}

Result<Upload> Library::upload() const {
  auto path = folder_ + "/staging/" + std::string(kUploadPrefix) +
              base::make_uuid(base::SystemClock().wall());
  base::UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kFileMode));
  if (!fd) return fail_errno("cannot create " + path, errno);
  return Upload(*this, std::move(path), std::move(fd));
}

Result<ManifestFile> Library::import_file(const std::string& path, std::string name) const {
  const base::UniqueFd source(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!source) return fail_errno("cannot open " + path, errno);
  auto target = upload();
  if (!target) return std::unexpected(target.error());
  std::vector<std::uint8_t> buffer(256 << 10);
  for (;;) {
    const auto got = ::read(source.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read " + path, errno);
    if (got == 0) return target->commit(std::move(name));
    LARDER_TRY(target->write(std::span(buffer).first(static_cast<std::size_t>(got))));
  }
}

Result<PieceFile> Library::assemble(const ManifestFile& file) const {
  if (!is_sha256(file.sha256)) {
    return fail(ErrorCode::InvalidArgument, "the description of the file is malformed");
  }
  return PieceFile::open(folder_ + "/staging/" + file.sha256 + ".part", file, kFileMode);
}

Status Library::store(PieceFile file) const {
  LARDER_TRY(make_room_for(file.expected().sha256));
  return file.commit(path_of(file.expected().sha256));
}

Status Library::verify(std::string_view sha256) const {
  const auto path = path_of(sha256);
  const auto found = open_file(sha256);
  if (!found) return std::unexpected(found.error());
  if (!*found) return fail(ErrorCode::NotFound, "the file is not in the library");
  crypto::Sha256 digest;
  std::vector<std::uint8_t> buffer(256 << 10);
  for (;;) {
    const auto got = ::read((*found)->fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("cannot read " + path, errno);
    if (got == 0) break;
    digest.update(std::span(buffer).first(static_cast<std::size_t>(got)));
  }
  if (base::to_hex(digest.finish()) == sha256) return {};
  LARDER_TRY(remove(sha256));
  return fail(ErrorCode::DataLoss, path + " has changed on disk and was removed");
}

Status Library::remove(std::string_view sha256) const {
  if (!is_sha256(sha256)) return {};
  const auto path = path_of(sha256);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return fail_errno("cannot remove " + path, errno);
  }
  return {};
}

}  // namespace larder::content
