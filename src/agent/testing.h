// What the agent's tests share: a temporary folder, a listener that remembers, sample bytes.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/progress.h"
#include "base/file.h"

namespace larder::agent {

class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "larder-agent-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string content_of(const std::string& name) const {
    return base::read_file(path(name), 1ULL << 30).value_or("cannot be read");
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      found.push_back(entry.path().filename());
    }
    return found;
  }

  std::string folder_;
};

class RememberingListener final : public ProgressListener {
 public:
  void on_progress(const Progress& progress) override { seen.push_back(progress); }
  void on_source_failed(const std::string& source, const base::Error& error) override {
    failed.push_back(source);
    errors.push_back(error);
  }
  std::vector<Progress> seen;
  std::vector<std::string> failed;
  std::vector<base::Error> errors;
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

}  // namespace larder::agent
