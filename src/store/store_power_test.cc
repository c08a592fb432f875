// What is to hold even when the power fails: the journal is synced before anybody relies on it.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <future>

#include "base/log.h"
#include "store/journal.h"
#include "store/testing.h"

namespace {
// Called in place of the system's, on any thread.
std::function<int(int)> sync_instead;
}  // namespace

extern "C" int fdatasync(int fd) {
  if (sync_instead) return sync_instead(fd);
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace larder::store {
namespace {

using namespace testing;

class StorePower : public ::testing::Test {
 protected:
  void SetUp() override { base::configure_log({.level = base::LogLevel::Error}); }
  void TearDown() override {
    sync_instead = nullptr;
    base::configure_log({});
  }
  const TemporaryFolder folder_;
};

TEST_F(StorePower, APurgeStaysMarkedUntilItsRemovalsAreOnTheDisk) {
  base::ManualClock clock(base::from_unix_seconds(1'800'000'000));
  auto store = Store::open({.drives = {{.path = folder_.path(), .size = 64 * kMiB}},
                            .background = false,
                            .name_of = whole,
                            .clock = &clock});
  ASSERT_TRUE(store);
  ASSERT_TRUE((*store)->create(key_of(1), base::as_bytes("a"), 0));
  (*store)->maintain();
  sync_instead = [](int) {
    errno = EIO;
    return -1;
  };
  ASSERT_TRUE((*store)->purge_prefix("a"));
  (*store)->maintain();
  EXPECT_EQ((*store)->statistics().purges, 1U);
  sync_instead = nullptr;
  for (int i = 0; i < 3; ++i) {
    clock.advance(std::chrono::seconds(60));
    (*store)->maintain();
  }
  EXPECT_EQ((*store)->statistics().purges, 0U);
}

TEST_F(StorePower, ASyncOfTheJournalWaitsForTheOneThatIsUnderWay) {
  const auto journal = Journal::open(folder_.path(), {}, [](const Record&) {});
  ASSERT_TRUE(journal);
  ASSERT_TRUE((*journal)->append({.type = RecordType::Remove, .generation = 1}));
  std::atomic<int> syncs = 0;
  std::future<base::Status> second;
  sync_instead = [&](int) {
    if (++syncs > 1) return 0;
    second = std::async(std::launch::async, [&] { return (*journal)->sync(); });
    second.wait_for(std::chrono::milliseconds(500));
    errno = EIO;
    return -1;
  };
  EXPECT_FALSE((*journal)->sync());
  EXPECT_TRUE(second.get());
  EXPECT_EQ(syncs, 2) << "it was not on the disk";
}

}  // namespace
}  // namespace larder::store
