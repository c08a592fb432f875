#include "store/mapped_guard.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

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

TEST(MappedGuard, GivesZerosAndAFlagForAPageThatCannotBeRead) {
  const base::UniqueFd fd = make_file(8192);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
  const auto region = MappedRegion::map(fd.get(), 8192);
  ASSERT_TRUE(region);
  volatile const std::uint8_t* bytes = region->data();
  EXPECT_EQ(bytes[0], 'x');
  EXPECT_FALSE(take_mapped_fault());
  // A page behind the end of the file raises SIGBUS, as a page of a failing drive does.
  ASSERT_EQ(::ftruncate(fd.get(), 4096), 0);
  EXPECT_EQ(bytes[4096], 0);
  EXPECT_TRUE(take_mapped_fault());
  EXPECT_FALSE(take_mapped_fault()) << "asking clears the flag";
  EXPECT_EQ(bytes[0], 'x') << "other pages stay";
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
