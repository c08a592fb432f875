#include "db/session.h"

#include <charconv>

namespace larder::db {

bool Row::is_null(std::size_t column) const {
  return column >= values_.size() || std::holds_alternative<std::monostate>(values_[column]);
}

std::string Row::text(std::size_t column) const {
  if (column >= values_.size()) return {};
  const auto* text = std::get_if<std::string>(&values_[column]);
  return text == nullptr ? std::string() : *text;
}

std::int64_t Row::integer(std::size_t column) const {
  if (column >= values_.size()) return 0;
  if (const auto* integer = std::get_if<std::int64_t>(&values_[column])) return *integer;
  // Expressions such as COUNT(*) have no declared type, and SQLite's come as text.
  std::int64_t value = 0;
  if (const auto* text = std::get_if<std::string>(&values_[column])) {
    const char* end = text->data() + text->size();
    if (std::from_chars(text->data(), end, value).ptr != end) return 0;
  }
  return value;
}

base::Result<std::int64_t> last_change(Session& session) {
  const auto rows = session.query("SELECT COALESCE(MAX(seq), 0) FROM changes");
  if (!rows) return std::unexpected(rows.error());
  return rows->empty() ? 0 : rows->front().integer(0);
}

base::Result<std::int64_t> append_change(Session& session, std::string_view kind, std::int64_t at) {
  const auto last = last_change(session);
  if (!last) return last;
  const std::int64_t next = *last + 1;
  LARDER_TRY(session.execute("INSERT INTO changes (seq, kind, at) VALUES (:seq, :kind, :at)",
                             {next, std::string(kind), at}));
  return next;
}

}  // namespace larder::db
