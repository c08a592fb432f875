// The event log: one line per event, text for people or JSON for machines, to standard error.
// Thread-safe. Never pass a token, key, password or signed URL; the access log is another file and
// has its own writer. Fields keep facts apart from the sentence, so that machines need not parse
// it:
//
//   log_info("certificate activated", {{"name", name}, {"not_after", to_rfc3339(end)}});
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace larder::base {

enum class LogLevel { Debug, Info, Warning, Error };

struct LogField {
  std::string_view name;
  std::string value;
};

struct LogSettings {
  LogLevel level = LogLevel::Info;
  bool json = false;
};

// In effect for the next event. Thread-safe.
void configure_log(const LogSettings& settings);

void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);

inline void log_debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log_event(LogLevel::Debug, event, fields);
}
inline void log_info(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log_event(LogLevel::Info, event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log_event(LogLevel::Warning, event, fields);
}
inline void log_error(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log_event(LogLevel::Error, event, fields);
}

}  // namespace larder::base
