// A database of one process: one writer thread, a few readers.
//
// Writes are closures. The writer takes what has queued up while the previous commit ran (at most
// kGroupLimit), runs them in one transaction, each in its own savepoint, and commits once; a
// closure that fails is undone alone. A caller learns its result after the commit. Reads run on the
// caller's thread in a session of the pool and see one consistent state.
//
// Thread-safe. Closures must not call the Database again, block, or keep the session.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "db/session.h"

namespace larder::db {

// One step forward of the schema. Steps are numbered from 1 without gaps and never change once
// released.
struct Migration {
  int version = 0;
  std::vector<std::string> statements;
};

struct DatabaseSettings {
  std::string path;  // of the SQLite file; its lock is `path`.lock
  std::size_t readers = 4;
};

class Database {
 public:
  static constexpr std::size_t kGroupLimit = 100;
  static constexpr std::size_t kQueueLimit = 10'000;  // more writes waiting: ResourceExhausted

  // FailedPrecondition when another process has it open or its schema is newer than the last
  // migration. Before an existing database is migrated a copy is left at `path`.before-<version>.
  static base::Result<std::unique_ptr<Database>> open(const DatabaseSettings& settings,
                                                      const std::vector<Migration>& migrations);
  ~Database();  // finishes what was queued
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  template <typename Closure>
  auto write_later(Closure closure) -> std::future<std::invoke_result_t<Closure&, Session&>> {
    using Answer = std::invoke_result_t<Closure&, Session&>;
    struct Job {
      Closure closure;
      std::promise<Answer> promise;
      Answer answer;
    };
    auto job = std::make_shared<Job>(Job{std::move(closure), {}, Answer{std::unexpect}});
    auto future = job->promise.get_future();
    enqueue({[job](Session& session) -> base::Status {
               job->answer = job->closure(session);
               if (!job->answer) return std::unexpected(job->answer.error());
               return {};
             },
             [job](const base::Status& committed) {
               if (!committed) job->answer = std::unexpected(committed.error());
               job->promise.set_value(std::move(job->answer));
             }});
    return future;
  }
  template <typename Closure>
  auto write(Closure closure) {
    return write_later(std::move(closure)).get();
  }
  template <typename Closure>
  auto read(Closure closure) -> std::invoke_result_t<Closure&, Session&> {
    using Answer = std::invoke_result_t<Closure&, Session&>;
    Answer answer{std::unexpect};
    const base::Status read = read_with([&](Session& session) { answer = closure(session); });
    if (!read) return std::unexpected(read.error());
    return answer;
  }

 private:
  struct Impl;
  struct WriteJob {
    std::function<base::Status(Session&)> run;
    std::function<void(const base::Status&)> finish;
  };
  explicit Database(std::unique_ptr<Impl> impl);
  void enqueue(WriteJob job);
  base::Status read_with(const std::function<void(Session&)>& closure);

  std::unique_ptr<Impl> impl_;
};

}  // namespace larder::db
