// What the agent's tests share: a temporary folder, a listener that remembers.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "agent/progress.h"
#include "base/testing.h"

namespace larder::agent {

using base::sample_bytes;

class FolderTest : public base::FolderTest {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      found.push_back(entry.path().filename());
    }
    return found;
  }
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

}  // namespace larder::agent
