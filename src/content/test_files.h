// What the tests of packages share: a temporary folder and bytes that are easy to tell apart.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/encoding.h"
#include "base/file.h"
#include "content/piece_digests.h"

namespace larder::content {

class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "larder-content-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string content_of(const std::string& name) const {
    return base::read_file(path(name), 1ULL << 30).value_or("cannot be read");
  }

  std::string folder_;
};

inline std::string sample_bytes(std::size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  unsigned state = seed * 2654435761U + 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

inline ManifestFile describe(const std::string& bytes, const std::string& name = "file.bin") {
  PieceDigests digests;
  digests.update(base::as_bytes(bytes));
  return digests.finish(name);
}

}  // namespace larder::content
