// A file under assembly: bytes are appended in order, each piece is verified before it reaches the
// disk, and what an interrupted assembly left is verified again and kept.
//
// The file at `path` holds verified pieces only, from the beginning without a gap. It is locked for
// the life of the object. One thread at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "content/manifest.h"
#include "crypto/digest.h"

namespace larder::content {

class PieceFile {
 public:
  // Opens the file, or makes it with `mode`, and cuts it behind the last of its leading pieces that
  // are right. FailedPrecondition when another assembly holds it.
  static base::Result<PieceFile> open(std::string path, ManifestFile expected, mode_t mode);

  const ManifestFile& expected() const { return expected_; }
  std::uint64_t verified() const { return verified_; }  // bytes that are right and on disk
  bool complete() const { return verified_ == expected_.size; }

  // Takes the bytes that follow. DataLoss when they complete a piece that is wrong, or go beyond
  // the end: everything behind verified() is then forgotten.
  base::Status append(std::span<const std::uint8_t> bytes);
  // Forgets what was appended behind verified(): before going on with another source.
  void drop_unverified() { piece_.clear(); }

  // Syncs the complete file and renames it over `target` (on the same file system), then syncs the
  // folder. FailedPrecondition before it is complete; DataLoss when the whole is not what was
  // expected. The object must not be used afterwards.
  base::Status commit(const std::string& target);

 private:
  PieceFile(std::string path, ManifestFile expected, base::UniqueFd fd);
  base::Status keep_right_pieces();
  base::Status take_piece();

  std::string path_;
  ManifestFile expected_;
  base::UniqueFd fd_;
  std::uint64_t verified_ = 0;
  std::vector<std::uint8_t> piece_;  // the piece that is being received
  crypto::Sha256 whole_;             // over the verified bytes
};

}  // namespace larder::content
