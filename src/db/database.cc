#include "db/database.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/unique_fd.h"
#include "db/soci_session.h"

namespace larder::db {
namespace {

base::Result<std::int64_t> schema_version(Session& session) {
  const auto rows = session.query("SELECT COALESCE(MAX(version), 0) FROM schema_version");
  if (!rows) return std::unexpected(rows.error());
  return rows->empty() ? 0 : rows->front().integer(0);
}

base::Status apply(Session& session, const Migration& migration) {
  for (const std::string& statement : migration.statements) {
    LARDER_TRY(session.execute(statement));
  }
  LARDER_TRY(session.execute("INSERT INTO schema_version (version) VALUES (:version)",
                             {std::int64_t{migration.version}}));
  return {};
}

base::Status migrate(Session& session, const std::string& path,
                     const std::vector<Migration>& migrations) {
  LARDER_TRY(
      session.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)"));
  LARDER_TRY(session.execute(
      "CREATE TABLE IF NOT EXISTS changes (seq BIGINT PRIMARY KEY, kind TEXT NOT NULL, "
      "at BIGINT NOT NULL)"));
  const auto version = schema_version(session);
  if (!version) return std::unexpected(version.error());
  const auto newest = static_cast<std::int64_t>(migrations.size());
  if (*version > newest) {
    return base::fail(base::ErrorCode::FailedPrecondition,
                      "the database " + path + " has schema " + std::to_string(*version) +
                          ", this program knows up to " + std::to_string(newest) +
                          ": start the newer program");
  }
  if (*version == newest) return {};
  if (*version > 0) {
    // A copy that an earlier attempt left behind is as good: the version is still the same.
    const std::string copy = path + ".before-" + std::to_string(newest);
    struct stat facts{};
    if (::stat(copy.c_str(), &facts) != 0) {
      LARDER_TRY(session.execute("VACUUM INTO :copy", {copy}));
      ::chmod(copy.c_str(), 0600);
    }
  }
  for (std::int64_t next = *version; next < newest; ++next) {
    const Migration& migration = migrations[static_cast<std::size_t>(next)];
    LARDER_TRY(session.execute("BEGIN IMMEDIATE"));
    if (const base::Status applied = apply(session, migration); !applied) {
      (void)session.execute("ROLLBACK");
      return base::with_context("migration " + std::to_string(migration.version), applied.error());
    }
    LARDER_TRY(session.execute("COMMIT"));
  }
  return {};
}

base::Status create_private_file(const std::string& path) {
  const base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return base::fail_errno("cannot open " + path, errno);
  return {};
}

}  // namespace

struct Database::Impl {
  base::UniqueFd lock;
  std::unique_ptr<SociSession> writer;

  std::mutex queue_mutex;
  std::condition_variable queue_filled;
  std::deque<WriteJob> queue;
  bool stopping = false;

  std::mutex readers_mutex;
  std::condition_variable reader_returned;
  std::vector<std::unique_ptr<SociSession>> readers;

  std::jthread thread;

  void run_writer();
  void run_group(std::vector<WriteJob>& group);
};

void Database::Impl::run_writer() {
  for (;;) {
    std::vector<WriteJob> group;
    {
      std::unique_lock lock_queue(queue_mutex);
      queue_filled.wait(lock_queue, [&] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      while (!queue.empty() && group.size() < kGroupLimit) {
        group.push_back(std::move(queue.front()));
        queue.pop_front();
      }
    }
    run_group(group);
  }
}

void Database::Impl::run_group(std::vector<WriteJob>& group) {
  std::vector<base::Status> results(group.size());
  base::Status whole;
  const auto step = [&](const char* sql) {
    if (!whole) return;
    if (auto done = writer->execute(sql); !done) whole = std::unexpected(done.error());
  };
  step("BEGIN IMMEDIATE");
  for (std::size_t i = 0; i < group.size() && whole; ++i) {
    step("SAVEPOINT job");
    if (!whole) break;
    results[i] = group[i].run(*writer);
    if (!results[i]) step("ROLLBACK TO job");
    step("RELEASE job");
  }
  step("COMMIT");
  if (!whole) {
    (void)writer->execute("ROLLBACK");
    base::log_error("a group of writes was not committed", {{"error", whole.error().message}});
  }
  for (std::size_t i = 0; i < group.size(); ++i) {
    // A closure that failed has its own answer; one that succeeded but was not committed has not.
    group[i].finish(results[i] ? whole : results[i]);
  }
}

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Database::~Database() {
  {
    const std::lock_guard lock(impl_->queue_mutex);
    impl_->stopping = true;
  }
  impl_->queue_filled.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

base::Result<std::unique_ptr<Database>> Database::open(const DatabaseSettings& settings,
                                                       const std::vector<Migration>& migrations) {
  for (std::size_t i = 0; i < migrations.size(); ++i) {
    if (migrations[i].version != static_cast<int>(i) + 1) {
      return base::fail(base::ErrorCode::InvalidArgument,
                        "migrations are not numbered from 1 without gaps");
    }
  }
  auto impl = std::make_unique<Impl>();
  auto lock = base::lock_file(settings.path + ".lock", "the database " + settings.path);
  if (!lock) return std::unexpected(lock.error());
  impl->lock = std::move(*lock);
  LARDER_TRY(create_private_file(settings.path));
  auto writer = SociSession::open_sqlite(settings.path, false);
  if (!writer) return std::unexpected(writer.error());
  impl->writer = std::move(*writer);
  LARDER_TRY(migrate(*impl->writer, settings.path, migrations));
  for (std::size_t i = 0; i < settings.readers; ++i) {
    auto reader = SociSession::open_sqlite(settings.path, true);
    if (!reader) return std::unexpected(reader.error());
    impl->readers.push_back(std::move(*reader));
  }
  Impl* raw = impl.get();
  impl->thread = std::jthread([raw] { raw->run_writer(); });
  return std::unique_ptr<Database>(new Database(std::move(impl)));
}

void Database::enqueue(WriteJob job) {
  {
    const std::lock_guard lock(impl_->queue_mutex);
    if (!impl_->stopping && impl_->queue.size() < kQueueLimit) {
      impl_->queue.push_back(std::move(job));
      impl_->queue_filled.notify_one();
      return;
    }
  }
  job.finish(base::fail(base::ErrorCode::ResourceExhausted, "too many writes are waiting"));
}

base::Status Database::read_with(const std::function<void(Session&)>& closure) {
  std::unique_ptr<SociSession> reader;
  {
    std::unique_lock lock(impl_->readers_mutex);
    impl_->reader_returned.wait(lock, [&] { return !impl_->readers.empty(); });
    reader = std::move(impl_->readers.back());
    impl_->readers.pop_back();
  }
  base::Status result;
  if (auto begun = reader->execute("BEGIN"); !begun) {
    result = std::unexpected(begun.error());
  } else {
    closure(*reader);
    (void)reader->execute("COMMIT");
  }
  {
    const std::lock_guard lock(impl_->readers_mutex);
    impl_->readers.push_back(std::move(reader));
  }
  impl_->reader_returned.notify_one();
  return result;
}

}  // namespace larder::db
