#include "server/access_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/testing.h"
#include "net/loop.h"

namespace larder::server {
namespace {

using AccessLogTest = base::FolderTest;

AccessRecord record_of(std::string_view path) {
  AccessRecord record;
  record.client = "192.0.2.1";
  record.method = "GET";
  record.scheme = "http";
  record.host = "h";
  record.path = path;
  record.has_query = true;
  record.cache = "hit";
  record.reason = "not stored";
  record.request_id = "id";
  return record;
}

TEST_F(AccessLogTest, EscapesWhatCouldForgeALineAndDropsTheQuery) {
  const std::string file = path("log/access.log");
  const auto log = AccessLog::open(file);
  ASSERT_TRUE(log) << log.error().message;
  net::Loop loop;
  {
    AccessLog::Buffer buffer(**log, loop);
    AccessRecord record = record_of("/a\n b");
    record.status = 200;
    buffer.append(record, base::from_unix_seconds(0) + std::chrono::milliseconds(42));
  }
  EXPECT_EQ(base::read_file(file, 4096).value(),
            "1970-01-01T00:00:00.042Z 192.0.2.1 GET http://h/a\\x0a\\x20b?... 200 0 0 hit "
            "not-stored id\n");
}

TEST_F(AccessLogTest, WritesJsonThatNoClientCanBreak) {
  const std::string file = path("access.log");
  const auto log = AccessLog::open(file, AccessFormat::Json);
  ASSERT_TRUE(log) << log.error().message;
  net::Loop loop;
  {
    AccessLog::Buffer buffer(**log, loop);
    AccessRecord record = record_of("/a\"b");
    record.status = 206;
    record.bytes = 300;
    record.from_store = 100;
    record.from_origin = 20;
    buffer.append(record, base::from_unix_seconds(0));
    const std::string agent = "a\xff\\\n" + std::string(1000, 'x');
    record.range = "bytes=0-99";
    record.user_agent = agent;
    buffer.append(record, base::from_unix_seconds(0));
  }
  const std::string start =
      R"({"time":"1970-01-01T00:00:00.000Z","client":"192.0.2.1","method":"GET","url":"http://h/a\u0022b?...",)"
      R"("status":206,"bytes":300,"from_store":100,"from_origin":20)";
  const std::string end = R"(,"microseconds":0,"cache":"hit","reason":"not-stored","id":"id"})";
  EXPECT_EQ(base::read_file(file, 4096).value(),
            start + end + "\n" + start +
                R"(,"range":"bytes=0-99","user_agent":"a\u00ff\u005c\u000a)" +
                std::string(252, 'x') + "\"" + end + "\n");
}

TEST_F(AccessLogTest, TurnsOverWithoutTouchingTheFilesOfOthers) {
  const std::string file = path("access.log");
  ASSERT_TRUE(base::write_file_atomically(file + ".1", "kept by another program\n", 0640));
  const auto log = AccessLog::open(file);
  ASSERT_TRUE(log) << log.error().message;
  ASSERT_EQ(::truncate(file.c_str(), static_cast<off_t>(AccessLog::kTurnOver)), 0);
  ASSERT_TRUE((*log)->reopen());
  (*log)->write("one\n");
  EXPECT_EQ(base::read_file(file, 100).value(), "one\n");
  EXPECT_EQ(std::filesystem::file_size(file + ".old"), AccessLog::kTurnOver);
  EXPECT_EQ(base::read_file(file + ".1", 100).value(), "kept by another program\n");
}

TEST_F(AccessLogTest, FileThatCannotBeTurnedOverGrowsNoFurther) {
  const std::string file = path("access.log");
  std::filesystem::create_directories(file + ".old/in the way");
  const auto log = AccessLog::open(file);
  ASSERT_TRUE(log) << log.error().message;
  const std::uint64_t full = AccessLog::kTurnOver - 4;
  ASSERT_EQ(::truncate(file.c_str(), static_cast<off_t>(full)), 0);
  (*log)->write("one\n");
  EXPECT_EQ(std::filesystem::file_size(file), AccessLog::kTurnOver);
  EXPECT_EQ((*log)->failed_writes(), 0U);
  (*log)->write("two\n");
  (*log)->write("three\n");
  EXPECT_EQ(std::filesystem::file_size(file), AccessLog::kTurnOver);
  EXPECT_EQ((*log)->failed_writes(), 2U);
  // Who makes room by other means need not tell.
  ASSERT_EQ(::truncate(file.c_str(), 0), 0);
  (*log)->write("four\n");
  EXPECT_EQ(base::read_file(file, 100).value(), "four\n");
  ASSERT_EQ(::truncate(file.c_str(), static_cast<off_t>(full)), 0);
  std::filesystem::remove_all(file + ".old");
  (*log)->write("five\n");
  EXPECT_EQ(base::read_file(file, 100).value(), "five\n");
  EXPECT_EQ((*log)->failed_writes(), 2U);
}

TEST_F(AccessLogTest, FileThatWasDeletedIsMadeAnewOrItsLinesAreCountedAsLost) {
  const std::string folder = path("log");
  const std::string file = folder + "/access.log";
  const auto log = AccessLog::open(file);
  ASSERT_TRUE(log) << log.error().message;
  std::filesystem::remove_all(folder);
  (*log)->write("one\n");
  EXPECT_EQ(base::read_file(file, 100).value(), "one\n");
  EXPECT_EQ((*log)->failed_writes(), 0U);
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(base::write_file_atomically(folder, "in its place", 0640));
  (*log)->write("two\n");
  EXPECT_EQ((*log)->failed_writes(), 1U);
  std::filesystem::remove(folder);
  (*log)->write("three\n");
  EXPECT_EQ(base::read_file(file, 100).value(), "three\n");
  EXPECT_EQ((*log)->failed_writes(), 1U);
}

TEST_F(AccessLogTest, GoesOnInANewFileWhenTheOldOneWasMovedAway) {
  const std::string file = path("access.log");
  const auto log = AccessLog::open(file);
  ASSERT_TRUE(log) << log.error().message;
  (*log)->write("one\n");
  ASSERT_EQ(::rename(file.c_str(), (file + ".old").c_str()), 0);
  (*log)->write("two\n");
  ASSERT_TRUE((*log)->reopen());
  (*log)->write("three\n");
  EXPECT_EQ(base::read_file(file + ".old", 100).value(), "one\ntwo\n");
  EXPECT_EQ(base::read_file(file, 100).value(), "three\n");
}

}  // namespace
}  // namespace larder::server
