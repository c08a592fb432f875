// SQL in terms of three kinds of value: nothing, a whole number, a text. Bytes are stored as
// base64url text, times as seconds since 1970, so that one statement means the same on SQLite and
// PostgreSQL. Parameters are named in the statement (":node") and bound in order of appearance;
// values never become part of the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"

namespace larder::db {

using Value = std::variant<std::monostate, std::int64_t, std::string>;
using Values = std::vector<Value>;

class Row {
 public:
  explicit Row(Values values) : values_(std::move(values)) {}
  std::size_t size() const { return values_.size(); }
  bool is_null(std::size_t column) const;
  // The column as what it is; NULL and another kind read as "" and 0.
  std::string text(std::size_t column) const;
  std::int64_t integer(std::size_t column) const;

 private:
  Values values_;
};

using Rows = std::vector<Row>;

// A connection in the middle of a transaction, lent to a closure: neither kept nor shared. Errors
// are AlreadyExists for a broken uniqueness rule and Unavailable for everything else.
class Session {
 public:
  virtual ~Session() = default;

  // ResourceExhausted when there are more rows than `limit`.
  virtual base::Result<Rows> query(std::string_view sql, const Values& parameters,
                                   std::size_t limit) = 0;
  // The number of rows that the statement touched.
  virtual base::Result<std::int64_t> execute(std::string_view sql, const Values& parameters) = 0;

  base::Result<Rows> query(std::string_view sql, const Values& parameters = {}) {
    return query(sql, parameters, kRowLimit);
  }
  base::Result<std::int64_t> execute(std::string_view sql) { return execute(sql, Values{}); }

  static constexpr std::size_t kRowLimit = 100'000;
};

// Records that something changed that others wait for, and returns its number: one more than the
// last. Numbers become visible with the transaction.
base::Result<std::int64_t> append_change(Session& session, std::string_view kind, std::int64_t at);
// 0 when nothing ever changed.
base::Result<std::int64_t> last_change(Session& session);

}  // namespace larder::db
