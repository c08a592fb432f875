// For tests of all modules: folders that go when the test does, and bytes that are easy to tell
// apart.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"

namespace larder::base {

class TemporaryFolder {
 public:
  explicit TemporaryFolder(
      const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string pattern = (parent / "larder-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  // Empty when it could not be made.
  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A suite whose tests have a folder each.
class FolderTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return temporary_.path(name); }
  std::string content_of(const std::string& name) const {
    return read_file(path(name), 1ULL << 30).value_or("cannot be read");
  }

 private:
  TemporaryFolder temporary_;

 protected:
  const std::string& folder_ = temporary_.path();
};

// The same for the same arguments.
inline std::string sample_bytes(std::size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  unsigned state = seed * 2654435761U + 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace larder::base
