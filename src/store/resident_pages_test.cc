#include "store/resident_pages.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <vector>

#include "base/unique_fd.h"

namespace larder::store {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kPage = 4096;

// A file in memory: its pages are there once they were written, and gone again as holes.
class ResidentPages : public testing::Test {
 protected:
  static constexpr std::uint64_t kSize = 4 * kMiB;

  ResidentPages() {
    const std::vector<std::uint8_t> bytes(kSize, 1);
    EXPECT_EQ(::pwrite(fd_.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(kSize));
    file_.fd = fd_.get();
    file_.base = static_cast<const std::uint8_t*>(
        ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, fd_.get(), 0));
  }
  ~ResidentPages() override { ::munmap(const_cast<std::uint8_t*>(file_.base), kSize); }

  void lose(std::uint64_t offset, std::uint64_t size) {
    ASSERT_EQ(::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          static_cast<off_t>(offset), static_cast<off_t>(size)),
              0);
  }
  bool has(std::uint64_t begin, std::uint64_t end, ByteRange bounds = {0, kSize}) {
    return is_in_memory(file_, {begin, end}, bounds, now_);
  }

  base::UniqueFd fd_{::memfd_create("resident-pages", MFD_CLOEXEC)};
  MappedBytes file_;
  // A day later for each test: what another one's thread remembers of the same addresses is over.
  base::SteadyTime now_ = [] {
    static base::SteadyTime time;
    return time += std::chrono::days(1);
  }();
};

TEST_F(ResidentPages, EveryPageOfARangeCounts) {
  EXPECT_TRUE(has(1, kMiB / 4));
  lose(10 * kPage, kPage);
  EXPECT_FALSE(has(1, kMiB / 4));
  EXPECT_FALSE(has(11 * kPage - 1, 11 * kPage));
  EXPECT_TRUE(has(11 * kPage, kMiB / 4));
  EXPECT_TRUE(has(0, 10 * kPage));
  EXPECT_FALSE(has(0, kSize));
  EXPECT_TRUE(has(10 * kPage, 10 * kPage));
}

TEST_F(ResidentPages, APageThatGoesIsMissedAlsoWhereItsBlockWasFoundWhole) {
  ASSERT_TRUE(has(0, kSize));
  lose(2 * kMiB + 5 * kPage, kPage);
  EXPECT_FALSE(has(0, kSize));
  EXPECT_FALSE(has(2 * kMiB + 5 * kPage, 2 * kMiB + 6 * kPage));
  EXPECT_TRUE(has(0, 2 * kMiB + 5 * kPage));
  EXPECT_TRUE(has(2 * kMiB + 6 * kPage, kSize));
}

TEST_F(ResidentPages, WhatLiesBesideTheBoundsDoesNotMatter) {
  lose(3 * kMiB - kPage, kPage);
  lose(0, kPage);
  EXPECT_TRUE(has(kPage, 3 * kMiB - kPage, {kPage, 3 * kMiB - kPage}));
  EXPECT_TRUE(has(kPage, 3 * kMiB - kPage));
}

}  // namespace
}  // namespace larder::store
