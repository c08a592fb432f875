// The only place that knows SOCI: a Session over one of its connections, exceptions wrapped.
#pragma once

#include <memory>
#include <string>

#include "db/session.h"

namespace larder::db {

class SociSession final : public Session {
 public:
  // Opens or creates the SQLite file, in WAL mode with full sync.
  static base::Result<std::unique_ptr<SociSession>> open_sqlite(const std::string& path,
                                                                bool read_only);
  ~SociSession() override;

  using Session::execute;
  using Session::query;
  base::Result<Rows> query(std::string_view sql, const Values& parameters,
                           std::size_t limit) override;
  base::Result<std::int64_t> execute(std::string_view sql, const Values& parameters) override;

 private:
  struct Connection;
  explicit SociSession(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace larder::db
