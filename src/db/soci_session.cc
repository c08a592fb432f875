#include "db/soci_session.h"

#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <deque>
#include <optional>

namespace larder::db {
namespace {

// SQLite's result code for a broken PRIMARY KEY or UNIQUE rule.
constexpr int kSqliteConstraint = 19;

std::unexpected<base::Error> wrap(const std::exception& error) {
  if (const auto* sqlite = dynamic_cast<const soci::sqlite3_soci_error*>(&error)) {
    if ((sqlite->result() & 0xff) == kSqliteConstraint) {
      return base::fail(base::ErrorCode::AlreadyExists, std::string("SQL: ") + error.what());
    }
  }
  return base::fail(base::ErrorCode::Unavailable, std::string("SQL: ") + error.what());
}

// SOCI binds by reference: the values live here until the statement has run.
struct Bound {
  std::deque<long long> integers;
  std::deque<std::string> texts;
  std::deque<soci::indicator> nulls;
};

void bind(soci::statement& statement, const Values& parameters, Bound& bound) {
  for (const Value& value : parameters) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      statement.exchange(soci::use(bound.integers.emplace_back(*integer)));
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      statement.exchange(soci::use(bound.texts.emplace_back(*text)));
    } else {
      statement.exchange(
          soci::use(bound.texts.emplace_back(), bound.nulls.emplace_back(soci::i_null)));
    }
  }
}

Value column(const soci::row& row, std::size_t index) {
  if (row.get_indicator(index) == soci::i_null) return std::monostate{};
  switch (row.get_properties(index).get_data_type()) {
    case soci::dt_integer:
      return static_cast<std::int64_t>(row.get<int>(index));
    case soci::dt_long_long:
      return static_cast<std::int64_t>(row.get<long long>(index));
    case soci::dt_unsigned_long_long:
      return static_cast<std::int64_t>(row.get<unsigned long long>(index));
    case soci::dt_double:
      return static_cast<std::int64_t>(row.get<double>(index));
    default:
      return row.get<std::string>(index);
  }
}

}  // namespace

struct SociSession::Connection {
  soci::session session;
};

SociSession::SociSession(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {}
SociSession::~SociSession() = default;

base::Result<std::unique_ptr<SociSession>> SociSession::open_sqlite(const std::string& path,
                                                                    bool read_only) {
  // The backend splits its connection string at spaces and quotes.
  if (path.find_first_of(" '\"") != std::string::npos) {
    return base::fail(base::ErrorCode::InvalidArgument,
                      "the database's path must not contain spaces or quotes: " + path);
  }
  try {
    auto connection = std::make_unique<Connection>();
    connection->session.open(soci::sqlite3, "db=" + path + " timeout=10");
    connection->session << "PRAGMA journal_mode = WAL";
    connection->session << "PRAGMA synchronous = FULL";
    connection->session << "PRAGMA foreign_keys = ON";
    if (read_only) connection->session << "PRAGMA query_only = ON";
    return std::unique_ptr<SociSession>(new SociSession(std::move(connection)));
  } catch (const std::exception& error) {
    return base::with_context(path, wrap(error).error());
  }
}

base::Result<Rows> SociSession::query(std::string_view sql, const Values& parameters,
                                      std::size_t limit) {
  try {
    Bound bound;
    soci::row row;
    soci::statement statement(connection_->session);
    bind(statement, parameters, bound);
    statement.alloc();
    statement.prepare(std::string(sql));
    statement.define_and_bind();
    statement.exchange_for_rowset(soci::into(row));
    statement.execute(false);
    Rows rows;
    while (statement.fetch()) {
      if (rows.size() >= limit) {
        return base::fail(base::ErrorCode::ResourceExhausted,
                          "a query gives more than " + std::to_string(limit) + " rows");
      }
      Values values;
      values.reserve(row.size());
      for (std::size_t i = 0; i < row.size(); ++i) values.push_back(column(row, i));
      rows.emplace_back(std::move(values));
    }
    return rows;
  } catch (const std::exception& error) {
    return wrap(error);
  }
}

base::Result<std::int64_t> SociSession::execute(std::string_view sql, const Values& parameters) {
  try {
    Bound bound;
    soci::statement statement(connection_->session);
    bind(statement, parameters, bound);
    statement.alloc();
    statement.prepare(std::string(sql));
    statement.define_and_bind();
    statement.execute(true);
    return static_cast<std::int64_t>(statement.get_affected_rows());
  } catch (const std::exception& error) {
    return wrap(error);
  }
}

}  // namespace larder::db
