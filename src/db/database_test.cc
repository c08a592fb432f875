#include "db/database.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "base/testing.h"

namespace larder::db {
namespace {

using base::ErrorCode;

const std::vector<Migration> kMigrations = {
    {1, {"CREATE TABLE thing (name TEXT PRIMARY KEY, amount BIGINT, note TEXT)"}}};

using DatabaseTest = base::FolderTest;
using Migrations = base::FolderTest;

std::unique_ptr<Database> open_at(const std::string& path) {
  auto database = Database::open({path, 2}, kMigrations);
  EXPECT_TRUE(database) << (database ? "" : database.error().message);
  return database ? std::move(*database) : nullptr;
}

base::Result<std::int64_t> insert(Database& database, const std::string& name,
                                  std::int64_t amount) {
  return database.write([=](Session& session) {
    return session.execute("INSERT INTO thing (name, amount, note) VALUES (:name, :amount, :note)",
                           {name, amount, std::monostate{}});
  });
}

std::int64_t count(Database& database) {
  const auto rows =
      database.read([](Session& session) { return session.query("SELECT COUNT(*) FROM thing"); });
  return rows ? rows->front().integer(0) : -1;
}

TEST_F(DatabaseTest, KeepsValuesOfEveryKindOverAReopening) {
  const std::string file = path("site.db");
  {
    const auto database = open_at(file);
    ASSERT_TRUE(insert(*database, "it's :name \xc3\xa9", std::int64_t{1} << 62));
  }
  const auto database = open_at(file);
  const auto rows = database->read([](Session& session) {
    return session.query("SELECT name, amount, note FROM thing WHERE amount > :limit",
                         {std::int64_t{5}});
  });
  ASSERT_TRUE(rows) << rows.error().message;
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ(rows->front().text(0), "it's :name \xc3\xa9");
  EXPECT_EQ(rows->front().integer(1), std::int64_t{1} << 62);
  EXPECT_TRUE(rows->front().is_null(2));
  struct stat facts{};
  ASSERT_EQ(::stat(file.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST_F(DatabaseTest, ASecondProcessIsRefused) {
  const std::string file = path("site.db");
  const auto first = open_at(file);
  const auto second = Database::open({file, 1}, kMigrations);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::FailedPrecondition);
}

TEST_F(DatabaseTest, AFailingClosureIsUndoneAloneAndReportsItsOwnError) {
  const auto database = open_at(path("site.db"));
  auto bad = database->write_later([](Session& session) -> base::Status {
    LARDER_TRY(session.execute("INSERT INTO thing (name) VALUES ('half')"));
    return base::fail(ErrorCode::PermissionDenied, "no");
  });
  auto good = database->write_later([](Session& session) {
    return session.execute("INSERT INTO thing (name) VALUES ('whole')");
  });
  const base::Status refused = bad.get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::PermissionDenied);
  EXPECT_TRUE(good.get());
  EXPECT_EQ(count(*database), 1);
}

TEST_F(DatabaseTest, ABrokenUniquenessRuleIsAlreadyExists) {
  const auto database = open_at(path("site.db"));
  ASSERT_TRUE(insert(*database, "a", 1));
  const auto again = insert(*database, "a", 2);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::AlreadyExists);
  const auto wrong = database->write(
      [](Session& session) { return session.execute("INSERT INTO nothing VALUES (1)"); });
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::Unavailable);
}

TEST_F(DatabaseTest, OnlyOneOfManyThreadsWinsAConditionalUpdate) {
  const auto database = open_at(path("site.db"));
  ASSERT_TRUE(insert(*database, "token", 0));
  std::atomic<int> winners = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const auto touched = database->write([](Session& session) {
          return session.execute("UPDATE thing SET amount = 1 WHERE name = 'token' AND amount = 0");
        });
        if (touched && *touched == 1) ++winners;
      });
    }
  }
  EXPECT_EQ(winners.load(), 1);
}

TEST_F(DatabaseTest, ReadersCannotWriteAndLargeAnswersAreRefused) {
  const auto database = open_at(path("site.db"));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(insert(*database, std::to_string(i), i));
  EXPECT_FALSE(
      database->read([](Session& session) { return session.execute("DELETE FROM thing"); }));
  const auto rows = database->read(
      [](Session& session) { return session.query("SELECT name FROM thing", Values{}, 4); });
  ASSERT_FALSE(rows);
  EXPECT_EQ(rows.error().code, ErrorCode::ResourceExhausted);
  EXPECT_EQ(count(*database), 5);
}

TEST_F(DatabaseTest, ChangesCountUpWithoutGaps) {
  const auto database = open_at(path("site.db"));
  const auto append = [](Session& session) { return append_change(session, "block", 7); };
  EXPECT_EQ(database->read(last_change).value(), 0);
  EXPECT_EQ(database->write(append).value(), 1);
  EXPECT_EQ(database->write(append).value(), 2);
  EXPECT_EQ(database->read(last_change).value(), 2);
}

TEST_F(Migrations, GoForwardAfterACopyAndRefuseANewerSchema) {
  const std::string file = path("site.db");
  {
    const auto database = open_at(file);
    ASSERT_TRUE(insert(*database, "kept", 1));
  }
  auto more = kMigrations;
  more.push_back({2, {"ALTER TABLE thing ADD COLUMN colour TEXT"}});
  {
    const auto database = Database::open({file, 1}, more);
    ASSERT_TRUE(database) << database.error().message;
    EXPECT_EQ(count(**database), 1);
  }
  struct stat facts{};
  EXPECT_EQ(::stat((file + ".before-2").c_str(), &facts), 0);
  const auto older = Database::open({file, 1}, kMigrations);
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().code, ErrorCode::FailedPrecondition);
}

TEST_F(Migrations, AFailingStepLeavesTheVersionAsItWas) {
  const std::string file = path("site.db");
  {
    open_at(file);
  }
  auto broken = kMigrations;
  broken.push_back({2, {"CREATE TABLE half (a BIGINT)", "NOT SQL"}});
  EXPECT_FALSE(Database::open({file, 1}, broken));
  const auto database = open_at(file);
  EXPECT_FALSE(
      database->read([](Session& session) { return session.query("SELECT * FROM half"); }));
}

}  // namespace
}  // namespace larder::db
