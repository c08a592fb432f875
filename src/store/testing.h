// For tests that have a store: stored objects of recognisable bytes.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "base/testing.h"
#include "store/store.h"

namespace larder::store::testing {

using base::TemporaryFolder;

inline constexpr std::uint64_t kMiB = 1 << 20;

// For a store whose metadata are the names.
inline std::string_view whole(std::string_view metadata) {
  return metadata;
}

// Memory where there is some, for tests that open a store a thousand times.
inline std::filesystem::path fast_folder() {
  std::error_code error;
  return std::filesystem::is_directory("/dev/shm", error) ? std::filesystem::path("/dev/shm")
                                                          : std::filesystem::temp_directory_path();
}

// Bytes that differ between objects and between offsets.
inline std::vector<std::uint8_t> pattern(std::uint64_t seed, std::uint64_t offset,
                                         std::uint64_t length) {
  std::vector<std::uint8_t> bytes(length);
  for (std::uint64_t i = 0; i < length; ++i) {
    const std::uint64_t at = offset + i;
    bytes[i] =
        static_cast<std::uint8_t>(((at * 0x9E3779B97F4A7C15 + seed * 0xD1B54A32D192ED03) >> 32));
  }
  return bytes;
}

inline Key key_of(std::uint64_t number) {
  return {.high = number * 0x9E3779B97F4A7C15, .low = number};
}

inline std::unique_ptr<Store> open_store(const std::string& path, std::uint64_t size = 64 << 20) {
  auto store = Store::open({.drives = {{.path = path, .size = size}}, .background = false});
  EXPECT_TRUE(store) << (store ? "" : store.error().message);
  return store ? std::move(*store) : nullptr;
}

inline base::Status write_pattern(Store& store, Object& object, std::uint32_t slice,
                                  std::uint64_t seed) {
  return store.write_slice(object, slice,
                           pattern(seed, slice * kSliceSize, object.slice_length(slice)));
}

// Creates an object of `pattern(seed)` bytes with all its slices.
inline std::shared_ptr<Object> put(Store& store, std::uint64_t seed, std::uint64_t length) {
  const auto object =
      store.create(key_of(seed), base::as_bytes("object " + std::to_string(seed)), length);
  if (!object) return nullptr;
  for (std::uint32_t i = 0; i < (*object)->slice_count(); ++i) {
    if (!write_pattern(store, **object, i, seed)) return nullptr;
  }
  return *object;
}

// True when what the store says is there can be read and is right.
inline bool holds_pattern(Store& store, Object& object, std::uint64_t seed) {
  for (std::uint32_t i = 0; i < object.slice_count(); ++i) {
    if (!object.has_slice(i)) continue;
    std::vector<std::uint8_t> bytes(object.slice_length(i));
    if (!store.read(object, i * kSliceSize, bytes)) return false;
    if (bytes != pattern(seed, i * kSliceSize, bytes.size())) return false;
  }
  return true;
}

// The file system's limit, for a time: nothing behind it can be written.
class LongestFile {
 public:
  explicit LongestFile(rlim_t length) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = length, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~LongestFile() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    static_cast<void>(::signal(SIGXFSZ, signal_));
  }
  LongestFile(const LongestFile&) = delete;
  LongestFile& operator=(const LongestFile&) = delete;

 private:
  rlimit before_{};
  sighandler_t signal_ = ::signal(SIGXFSZ, SIG_IGN);
};

// Bytes on disk of a folder with all that is in it.
inline std::uint64_t disk_usage(const std::string& path) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    struct stat status{};
    if (::lstat(entry.path().c_str(), &status) == 0) {
      bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

}  // namespace larder::store::testing
