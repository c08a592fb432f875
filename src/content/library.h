// The files of packages on disk, each stored once under its SHA-256.
//
//   <folder>/files/ab/<sha256>     complete and right; never changed, only added and removed
//   <folder>/staging/              files under assembly; cleared of uploads when the library opens
//
// Thread-safe. Readers hold descriptors: a file that is removed stays readable to them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "content/manifest.h"
#include "content/piece_digests.h"
#include "content/piece_file.h"

namespace larder::content {

struct OpenFile {
  base::UniqueFd fd;
  std::uint64_t size = 0;  // bytes
};

class Library;

// A file whose digests are not known before its last byte. Abandoned when it is destroyed before
// commit(). One thread at a time; the library must outlive it.
class Upload {
 public:
  Upload(Upload&& other) noexcept;
  Upload& operator=(Upload&&) = delete;
  ~Upload();

  base::Status write(std::span<const std::uint8_t> bytes);
  // Stores the file and describes it. A file that is there already is not stored twice.
  base::Result<ManifestFile> commit(std::string name);

 private:
  friend class Library;
  Upload(const Library& library, std::string path, base::UniqueFd fd);

  const Library* library_;
  std::string path_;  // empty once committed
  base::UniqueFd fd_;
  PieceDigests digests_;
};

class Library {
 public:
  // Makes the folders when they are missing. FailedPrecondition when another process has the
  // library open.
  static base::Result<std::unique_ptr<Library>> open(const std::string& folder);

  // The complete file, for reading; nothing when it is not there.
  base::Result<std::optional<OpenFile>> open_file(std::string_view sha256) const;
  bool contains(const ManifestFile& file) const;  // there, with the right size
  // Files of the manifest that are not there, each content once.
  std::vector<ManifestFile> missing(const Manifest& manifest) const;

  // For bytes of unknown digest, from an administrator.
  base::Result<Upload> upload() const;
  // Takes over a file by its path: reads, describes and copies it.
  base::Result<ManifestFile> import_file(const std::string& path, std::string name) const;
  // For bytes of a manifest, from another host: keeps what an earlier attempt verified.
  base::Result<PieceFile> assemble(const ManifestFile& file) const;
  base::Status store(PieceFile file) const;  // commits a complete assembly

  // Reads the stored file again. A wrong one is removed, so that it becomes missing, and DataLoss
  // is the answer; NotFound when it is not there.
  base::Status verify(std::string_view sha256) const;
  base::Status remove(std::string_view sha256) const;  // absent is no error

 private:
  friend class Upload;
  Library(std::string folder, base::UniqueFd lock);
  std::string path_of(std::string_view sha256) const;
  base::Status make_room_for(std::string_view sha256) const;

  const std::string folder_;
  const base::UniqueFd lock_;
};

}  // namespace larder::content
