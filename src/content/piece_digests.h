// Computes size, SHA-256 and piece digests of a file while its bytes pass by.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/error.h"
#include "content/manifest.h"
#include "crypto/digest.h"

namespace larder::content {

// One thread at a time.
class PieceDigests {
 public:
  void update(std::span<const std::uint8_t> bytes);
  std::uint64_t size() const { return size_; }  // bytes so far
  // The description of everything so far; the object must not be used afterwards.
  ManifestFile finish(std::string name);

 private:
  crypto::Sha256 whole_;
  crypto::Sha256 piece_;
  std::uint64_t size_ = 0;
  std::string pieces_;
};

// Reads the file from its beginning. The name must be safe; the size within kFileSizeLimit.
base::Result<ManifestFile> describe_file(const std::string& path, std::string name);

}  // namespace larder::content
