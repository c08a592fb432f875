#include "store/mapped_guard.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>

#include "base/unique_fd.h"

namespace larder::store {
namespace {

base::UniqueFd make_file(off_t length) {
  std::string name = "/tmp/larder-guard-XXXXXX";
  base::UniqueFd fd(::mkstemp(name.data()));
  ::unlink(name.c_str());
  EXPECT_EQ(::ftruncate(fd.get(), length), 0);
  return fd;
}

constexpr std::size_t kPage = 4096;

TEST(MappedGuard, GivesZerosForAPageThatCannotBeReadAndTellsSo) {
  const base::UniqueFd fd = make_file(2 * kPage);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
  const auto region = MappedRegion::map(fd.get(), 2 * kPage);
  ASSERT_TRUE(region);
  volatile const std::uint8_t* bytes = region->data();
  EXPECT_EQ(bytes[0], 'x');
  EXPECT_FALSE(region->has_lost(0, 2 * kPage));
  // A page behind the end of the file raises SIGBUS, as a page of a failing drive does.
  ASSERT_EQ(::ftruncate(fd.get(), kPage), 0);
  EXPECT_EQ(bytes[kPage], 0);
  EXPECT_TRUE(region->has_lost(kPage, kPage));
  EXPECT_TRUE(region->has_lost(kPage - 1, 2));
  EXPECT_TRUE(region->has_lost(2 * kPage - 1, 1)) << "asking changes nothing";
  EXPECT_FALSE(region->has_lost(0, kPage)) << "other pages stay";
  EXPECT_EQ(bytes[0], 'x');
}

TEST(MappedGuard, TellsEveryThreadOfAPageThatOneOfThemLost) {
  const base::UniqueFd fd = make_file(kPage);
  const auto region = MappedRegion::map(fd.get(), kPage);
  ASSERT_TRUE(region);
  ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
  volatile const std::uint8_t* bytes = region->data();
  std::thread([&] { EXPECT_EQ(bytes[0], 0); }).join();
  ASSERT_EQ(::ftruncate(fd.get(), kPage), 0);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
  EXPECT_EQ(bytes[0], 0) << "no fault here: the zeros are in the mapping";
  EXPECT_TRUE(region->has_lost(0, 1));
}

TEST(MappedGuard, CountsAllAsLostAfterAFewPages) {
  constexpr std::size_t kPages = 8;
  const base::UniqueFd fd = make_file(kPages * kPage);
  auto region = MappedRegion::map(fd.get(), kPages * kPage);
  ASSERT_TRUE(region);
  ASSERT_EQ(::ftruncate(fd.get(), kPage), 0);
  volatile const std::uint8_t* bytes = region->data();
  for (std::size_t page = 1; page < kPages; ++page) EXPECT_EQ(bytes[page * kPage], 0);
  EXPECT_TRUE(region->has_lost(0, 1));
  // The next mapping may have the same place in the table.
  *region = MappedRegion();
  const auto again = MappedRegion::map(fd.get(), kPages * kPage);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->has_lost(0, kPages * kPage));
}

TEST(MappedGuard, LeavesAForeignBusErrorAsItWas) {
  EXPECT_DEATH(
      {
        const base::UniqueFd fd = make_file(4096);
        const auto region = MappedRegion::map(fd.get(), 4096);
        void* foreign = ::mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd.get(), 0);
        volatile const char* bytes = static_cast<const char*>(foreign);
        ::_exit(bytes[4096]);
      },
      "");
}

}  // namespace
}  // namespace larder::store
