// What is left after the process died at any moment.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <random>
#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "store/journal_format.h"
#include "store/testing.h"

namespace larder::store {
namespace {

using namespace testing;
namespace fs = std::filesystem;

constexpr std::uint64_t kJustLarge = kSliceSize + 300;

// Bytes of the object are pattern(version); its metadata says which version.
std::shared_ptr<Object> create_version(Store& store, std::uint64_t name, std::uint64_t version,
                                       std::uint64_t length) {
  const auto object = store.create(key_of(name), base::as_bytes(std::to_string(version)), length);
  return object ? *object : nullptr;
}

// Everything that the store serves must be what some process wrote as that version.
void expect_only_right_bytes(Store& store, std::uint64_t names) {
  for (std::uint64_t name = 0; name < names; ++name) {
    const auto object = store.find(key_of(name));
    if (!object) continue;
    const std::uint64_t version = std::stoull(*object->metadata());
    EXPECT_TRUE(holds_pattern(store, *object, version)) << "object " << name;
  }
}

std::string read_bytes(const std::string& path) {
  return *base::read_file(path, 64 << 20);
}

void write_bytes(const std::string& path, std::string_view bytes) {
  const base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  ASSERT_TRUE(base::write_all(fd.get(), bytes));
}

// Copies the data and leaves holes as holes.
void copy_sparse(const fs::path& from, const fs::path& to) {
  const base::UniqueFd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  const base::UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const off_t size = ::lseek(in.get(), 0, SEEK_END);
  ASSERT_EQ(::ftruncate(out.get(), size), 0);
  std::vector<char> buffer(1 << 20);
  for (off_t at = ::lseek(in.get(), 0, SEEK_DATA); at >= 0 && at < size;) {
    const off_t hole = ::lseek(in.get(), at, SEEK_HOLE);
    while (at < hole) {
      const auto want = std::min(static_cast<std::size_t>(hole - at), buffer.size());
      const ssize_t got = ::pread(in.get(), buffer.data(), want, at);
      ASSERT_GT(got, 0);
      ASSERT_EQ(::pwrite(out.get(), buffer.data(), static_cast<std::size_t>(got), at), got);
      at += got;
    }
    at = ::lseek(in.get(), at, SEEK_DATA);
  }
}

void copy_drive(const fs::path& from, const fs::path& to) {
  fs::remove_all(to);
  fs::create_directory(to);
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path target = to / fs::relative(entry.path(), from);
    if (entry.is_directory()) {
      fs::create_directory(target);
    } else {
      copy_sparse(entry.path(), target);
    }
  }
}

// A drive with every kind of record in its journal, little data, and names 0 to 5.
void fill_master(const std::string& path) {
  auto store = open_store(path);
  const auto write_last = [&](const std::shared_ptr<Object>& object, std::uint64_t version) {
    ASSERT_TRUE(object);
    ASSERT_TRUE(write_pattern(*store, *object, object->slice_count() - 1, version));
  };
  write_last(create_version(*store, 0, 100, 3000), 100);
  write_last(create_version(*store, 1, 110, kJustLarge), 110);
  write_last(create_version(*store, 2, 120, 10), 120);
  for (const std::uint64_t name : {0U, 1U, 2U}) ASSERT_TRUE(store->find(key_of(name)));
  store->maintain();                                            // puts the hits into the journal
  write_last(create_version(*store, 0, 101, 2000), 101);        // replaces a packed one
  write_last(create_version(*store, 1, 111, 7000), 111);        // a large one by a packed one
  write_last(create_version(*store, 2, 121, kJustLarge), 121);  // and the other way round
  write_last(create_version(*store, 3, 130, 500), 130);
  store->remove(key_of(3));
  const auto lossy = create_version(*store, 4, 140, kJustLarge);
  write_last(lossy, 140);
  const base::UniqueFd raw(
      ::open(("/proc/self/fd/" + std::to_string(lossy->fd())).c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_EQ(::pwrite(raw.get(), "?", 1, static_cast<off_t>(lossy->file_offset_of(kSliceSize))), 1);
  ASSERT_FALSE(store->verify(*lossy, 1));
  write_last(lossy, 140);
  ASSERT_TRUE(create_version(*store, 5, 150, 0));
}

class CutJournal : public ::testing::Test {
 protected:
  void SetUp() override {
    base::configure_log({.level = base::LogLevel::Error});
    fill_master(master_.path());
    journal_ = read_bytes(master_.path() + "/journal");
    ASSERT_GT(journal_.size(), 500U);
  }
  void TearDown() override { base::configure_log({}); }

  // Opens a copy whose journal is `journal`, checks it and that it goes on working.
  std::uint64_t objects_after(std::string_view journal) {
    const std::string path = scratch_.path() + "/drive";
    copy_drive(master_.path(), path);
    write_bytes(path + "/journal", journal);
    auto store = open_store(path);
    if (!store) return 0;
    const std::uint64_t objects = store->statistics().objects;
    expect_only_right_bytes(*store, 6);
    const auto added = create_version(*store, 9, 190, 100);
    EXPECT_TRUE(added && write_pattern(*store, *added, 0, 190));
    store.reset();
    store = open_store(path);
    const auto found = store->find(key_of(9));
    EXPECT_TRUE(found && holds_pattern(*store, *found, 190));
    return objects;
  }

  const TemporaryFolder master_{fast_folder()};
  const TemporaryFolder scratch_{fast_folder()};
  std::string journal_;
};

TEST_F(CutJournal, AtEveryByteNeverFailsAndNeverServesWrongBytes) {
  for (std::size_t length = 0; length <= journal_.size(); ++length) {
    const std::uint64_t objects = objects_after(std::string_view(journal_).substr(0, length));
    if (length <= kJournalHeaderSize) {
      EXPECT_EQ(objects, 0U);
    }
    if (HasFailure()) FAIL() << "cut at " << length;
  }
  EXPECT_EQ(objects_after(journal_), 5U);
}

TEST_F(CutJournal, WithAWrongByteAnywhereIsReadUpToThatRecord) {
  for (std::size_t at = 0; at < journal_.size(); at += 7) {
    std::string damaged = journal_;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    objects_after(damaged);
    if (HasFailure()) FAIL() << "wrong byte at " << at;
  }
}

TEST_F(CutJournal, WithRubbishBehindItIsWhole) {
  EXPECT_EQ(objects_after(journal_ + std::string(300, '\x03')), 5U);
  EXPECT_EQ(objects_after(journal_ + std::string(5000, '\0')), 5U);
  // The records of this journal once more, at another place: stale, so they do not count.
  EXPECT_EQ(objects_after(journal_ + journal_.substr(kJournalHeaderSize)), 5U);
}

// --- a process killed while it works ---

constexpr std::uint64_t kNames = 12;

// Works on the drive for ever and says on `out` what it is about to do and what is done.
[[noreturn]] void work_until_killed(const std::string& path, int out, std::uint32_t seed) {
  auto store = Store::open({.drives = {{.path = path, .size = 256 << 20}}});
  if (!store) ::_exit(1);
  std::mt19937 random(seed);
  const auto say = [&](const std::string& line) {
    static_cast<void>(base::write_all(out, line + "\n"));
  };
  for (std::uint64_t version = seed * 100'000ULL;; ++version) {
    const std::uint64_t name = random() % kNames;
    const std::string label = std::to_string(name) + " " + std::to_string(version);
    const auto action = random() % 8;
    say("begin " + label);
    if (action == 0) {
      (*store)->remove(key_of(name));
      say("removed " + label);
      continue;
    }
    if (action == 1) {
      const auto object = (*store)->find(key_of(name));
      // The version stays: its bytes must go on matching.
      if (object)
        static_cast<void>(
            (*store)->update_metadata(*object, base::as_bytes(*object->metadata() + " again")));
      say("kept " + label);
      continue;
    }
    const std::uint64_t length =
        action < 5 ? 1 + random() % 20'000 : kSliceSize + 1 + random() % 5000;
    const auto object = create_version(**store, name, version, length);
    if (!object) ::_exit(2);
    const std::uint32_t last = object->slice_count() - 1;
    if (!write_pattern(**store, *object, last, version)) ::_exit(3);
    say("stored " + label);
    if (version % 64 == 0) (*store)->maintain();
  }
}

// LARDER_KILLS in the environment: how often, when the suite's few are not enough.
std::uint32_t kills() {
  const char* wanted = std::getenv("LARDER_KILLS");
  return wanted != nullptr ? static_cast<std::uint32_t>(std::atoi(wanted)) : 40;
}

TEST(KilledStore, KeepsWhatItAcknowledged) {
  base::configure_log({.level = base::LogLevel::Error});
  const TemporaryFolder folder;
  std::map<std::uint64_t, std::string> last_line;  // by name: the whole last line about it
  for (std::uint32_t round = 1; round <= kills(); ++round) {
    int pipe_fds[2];
    ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
    const base::UniqueFd in(pipe_fds[0]);
    base::UniqueFd out(pipe_fds[1]);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) work_until_killed(folder.path(), out.get(), round);
    out.reset();
    // Killed after a number of bytes of its report, so at any point of its work.
    std::string report;
    const std::size_t enough = 20 + (round * 7919) % 4000;
    char buffer[64];
    while (report.size() < enough) {
      const ssize_t got = ::read(in.get(), buffer, sizeof buffer);
      if (got <= 0) break;
      report.append(buffer, static_cast<std::size_t>(got));
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the process failed by itself: " << WEXITSTATUS(status);
    for (ssize_t got = 0; (got = ::read(in.get(), buffer, sizeof buffer)) > 0;) {
      report.append(buffer, static_cast<std::size_t>(got));
    }
    std::istringstream lines(report);
    for (std::string line; std::getline(lines, line) && !lines.eof();) {
      std::istringstream words(line);
      std::string what;
      std::uint64_t name = 0;
      words >> what >> name;
      if (what == "kept") continue;
      // "begin" takes away what we know until the end of the action says more.
      if (what == "begin" && line.ends_with(" ")) continue;
      last_line[name] = line;
    }
    auto store = open_store(folder.path(), 256 << 20);
    ASSERT_TRUE(store);
    expect_only_right_bytes(*store, kNames);
    for (const auto& [name, line] : last_line) {
      std::istringstream words(line);
      std::string what;
      std::uint64_t ignored = 0;
      std::string version;
      words >> what >> ignored >> version;
      const auto object = store->find(key_of(name));
      if (what == "removed") EXPECT_FALSE(object) << line;
      if (what != "stored") continue;
      ASSERT_TRUE(object) << line;
      EXPECT_EQ(object->metadata()->substr(0, version.size()), version);
      EXPECT_TRUE(object->has_slice(object->slice_count() - 1)) << line;
    }
  }
  base::configure_log({});
}

}  // namespace
}  // namespace larder::store
