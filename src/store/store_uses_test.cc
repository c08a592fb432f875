// Hits and eviction, also when a process ends between the two.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "store/journal_format.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;

constexpr std::uint64_t kSize = 32 * kMiB;
constexpr std::uint64_t kFiller = 200'000;
const std::vector<std::uint64_t> kHot = {1, 2, 3, 4, 5, 6};
const std::vector<std::uint64_t> kCold = {11, 12, 13, 14, 15, 16};

void hit(Store& store, const std::vector<std::uint64_t>& names) {
  for (const std::uint64_t name : names) EXPECT_TRUE(store.find(key_of(name))) << name;
}

std::vector<std::uint64_t> there(const Store& store, const std::vector<std::uint64_t>& names) {
  std::vector<std::uint64_t> found;
  for (const std::uint64_t name : names) {
    if (store.contains(key_of(name))) found.push_back(name);
  }
  return found;
}

// Objects that nobody asks for again.
void put_fillers(
    Store& store, std::uint64_t first, std::uint64_t count,
    const std::function<void()>& after_each = [] {}) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    EXPECT_TRUE(put(store, seed, kFiller)) << seed;
    after_each();
  }
}

// The hot ones are the oldest and hit all the time; nothing has to go yet.
void fill(Store& store) {
  for (const auto& names : {kHot, kCold}) {
    for (const std::uint64_t name : names) EXPECT_TRUE(put(store, name, name % 2 * kMiB + 100));
  }
  put_fillers(store, 100, 80, [&] { hit(store, kHot); });
  EXPECT_EQ(store.statistics().evicted_objects, 0U);
}

void expect_hits_count(Store& store) {
  put_fillers(store, 300, 80, [&] { store.maintain(); });
  EXPECT_GT(store.statistics().evicted_objects, 20U);
  EXPECT_EQ(there(store, kHot), kHot);
  EXPECT_EQ(there(store, kCold), std::vector<std::uint64_t>{});
}

// Opens the drive in a process of its own, which is killed when `work` is done and all its hits
// are recorded by the background.
void run_and_kill(const std::string& path, const std::function<void(Store&)>& work) {
  int pipe_fds[2];
  ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
  const base::UniqueFd in(pipe_fds[0]);
  base::UniqueFd out(pipe_fds[1]);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = Store::open({.drives = {{.path = path, .size = kSize}}});
    if (!store) ::_exit(1);
    ::alarm(60);  // ends what would wait for ever
    work(**store);
    while ((*store)->statistics().unrecorded_uses > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const char* said = ::testing::Test::HasFailure() ? "failed" : "done";
    static_cast<void>(base::write_all(out.get(), said));
    for (;;) ::pause();
  }
  out.reset();
  char said[8] = {};
  EXPECT_GT(::read(in.get(), said, sizeof said - 1), 0);
  EXPECT_STREQ(said, "done");
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the process failed by itself: " << WEXITSTATUS(status);
}

class StoreUses : public ::testing::Test {
 protected:
  void SetUp() override { base::configure_log({.level = base::LogLevel::Error}); }
  void TearDown() override { base::configure_log({}); }
  const TemporaryFolder folder_{fast_folder()};
};

TEST_F(StoreUses, CountAfterAKill) {
  run_and_kill(folder_.path(), fill);
  auto store = open_store(folder_.path(), kSize);
  expect_hits_count(*store);
}

TEST_F(StoreUses, CountAfterACleanStop) {
  {
    auto store = open_store(folder_.path(), kSize);
    fill(*store);
  }
  auto store = open_store(folder_.path(), kSize);
  expect_hits_count(*store);
}

TEST_F(StoreUses, CountHoweverOftenItIsKilledWhileItEvicts) {
  run_and_kill(folder_.path(), fill);
  for (std::uint64_t round = 1; round <= 8; ++round) {
    run_and_kill(folder_.path(), [&](Store& store) {
      put_fillers(store, 1000 * round, 40, [&] { hit(store, kHot); });
    });
    auto store = open_store(folder_.path(), kSize);
    ASSERT_EQ(there(*store, kHot), kHot) << "after kill " << round;
  }
}

TEST_F(StoreUses, AnsweredFromMemoryOfTheCallerCountAsWell) {
  auto store = open_store(folder_.path(), kSize);
  fill(*store);
  const auto used = store->find(key_of(11));
  const auto held = store->find(key_of(12));
  ASSERT_TRUE(used && held);
  put_fillers(*store, 300, 400, [&] {
    store->note_use(*used);
    store->maintain();
  });
  EXPECT_TRUE(store->contains(key_of(11)));
  EXPECT_FALSE(store->contains(key_of(12)));
  store->note_use(*held);  // of what is gone: nothing
}

// The generations that a journal creates, and those whose use it notes.
struct Named {
  std::set<std::uint64_t> created;
  std::set<std::uint64_t> used;
};

Named named_in(const std::string& drive) {
  const std::string file = *base::read_file(drive + "/journal", 64 << 20);
  const auto bytes = base::as_bytes(file);
  Named named;
  const auto header = parse_journal_header(bytes);
  EXPECT_TRUE(header);
  if (!header) return named;
  const auto parsed = parse_records(
      bytes.subspan(kJournalHeaderSize), header->epoch, kJournalHeaderSize,
      [&](const Record& record) {
        if (record.type == RecordType::Large || record.type == RecordType::Packed) {
          named.created.insert(record.generation);
        }
        if (record.type != RecordType::Uses) return;
        named.used.insert(record.values.begin(), record.values.begin() + record.count);
      });
  EXPECT_EQ(parsed.consumed, bytes.size() - kJournalHeaderSize);
  return named;
}

TEST_F(StoreUses, AreInTheJournalOfTheirOwnDrive) {
  const TemporaryFolder other(fast_folder());
  auto store = Store::open(
      {.drives = {{.path = folder_.path(), .size = kSize}, {.path = other.path(), .size = kSize}},
       .background = false});
  ASSERT_TRUE(store);
  std::vector<std::uint64_t> names;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    ASSERT_TRUE(put(**store, seed, seed * 50'000));
    names.push_back(seed);
  }
  hit(**store, names);
  EXPECT_EQ((*store)->statistics().unrecorded_uses, names.size());
  (*store)->maintain();
  EXPECT_EQ((*store)->statistics().unrecorded_uses, 0U);
  std::size_t used = 0;
  for (const std::string& drive : {folder_.path(), other.path()}) {
    const Named named = named_in(drive);
    EXPECT_GT(named.used.size(), 5U);
    EXPECT_TRUE(std::ranges::includes(named.created, named.used)) << drive;
    used += named.used.size();
  }
  EXPECT_EQ(used, names.size());
}

TEST_F(StoreUses, LeaveTheJournalAsItIsWhileNothingIsWritten) {
  auto store = open_store(folder_.path(), kSize);
  fill(*store);
  hit(*store, kCold);
  store->maintain();
  const std::uint64_t before = store->statistics().drives[0].journal;
  for (int round = 0; round < 100; ++round) {
    hit(*store, kHot);
    hit(*store, kCold);
    store->maintain();
  }
  EXPECT_EQ(store->statistics().drives[0].journal, before);
}

TEST_F(StoreUses, OfManyObjectsAreCompactedLikeEverythingElse) {
  auto store = open_store(folder_.path(), 16 * kMiB);
  std::vector<std::uint64_t> names;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    ASSERT_TRUE(put(*store, seed, 100));
    names.push_back(seed);
  }
  std::uint64_t last = 0;
  int compactions = 0;
  for (std::uint64_t i = 0; i < 160; ++i) {
    ASSERT_TRUE(put(*store, 1000 + i % 4, kMiB - 5000));
    hit(*store, names);
    store->maintain();
    const std::uint64_t size = store->statistics().drives[0].journal;
    ASSERT_LT(size, 300'000U);
    if (size < last) ++compactions;
    last = size;
  }
  EXPECT_GE(compactions, 1);
  EXPECT_EQ(there(*store, names), names);
}

}  // namespace
}  // namespace larder::store
