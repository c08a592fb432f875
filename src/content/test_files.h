// What the tests of packages share: a file as a manifest describes it.
#pragma once

#include <string>

#include "base/encoding.h"
#include "base/testing.h"
#include "content/piece_digests.h"

namespace larder::content {

using base::FolderTest;
using base::sample_bytes;

inline ManifestFile describe(const std::string& bytes, const std::string& name = "file.bin") {
  PieceDigests digests;
  digests.update(base::as_bytes(bytes));
  return digests.finish(name);
}

}  // namespace larder::content
