#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "base/clock.h"

namespace larder::base {

namespace {

struct Log {
  std::shared_ptr<spdlog::logger> logger = [] {
    auto made = spdlog::stderr_logger_mt("larder");
    made->set_pattern("%v");
    made->set_level(spdlog::level::debug);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  std::atomic<LogLevel> level = LogLevel::Info;
  std::atomic<bool> json = false;
};

Log& instance() {
  static Log log;
  return log;
}

std::string_view name(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "debug";
    case LogLevel::Info:
      return "info";
    case LogLevel::Warning:
      return "warning";
    case LogLevel::Error:
      return "error";
  }
  return "error";
}

// Control characters and quotes are escaped: a value cannot forge a line.
void append_escaped(std::string& line, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line.push_back('\\');
      line.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      line += "\\u00";
      line.push_back(kDigits[byte >> 4]);
      line.push_back(kDigits[byte & 15]);
    } else {
      line.push_back(c);
    }
  }
}

}  // namespace

void configure_log(const LogSettings& settings) {
  instance().level = settings.level;
  instance().json = settings.json;
}

void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  Log& log = instance();
  if (level < log.level) return;
  const std::string time = to_rfc3339(SystemClock().wall());
  std::string line;
  if (log.json) {
    line +=
        "{\"time\":\"" + time + "\",\"level\":\"" + std::string(name(level)) + "\",\"event\":\"";
    append_escaped(line, event);
    line += '"';
    for (const LogField& field : fields) {
      line += ",\"" + std::string(field.name) + "\":\"";
      append_escaped(line, field.value);
      line += '"';
    }
    line += '}';
  } else {
    line += time + " " + std::string(name(level)) + " ";
    append_escaped(line, event);
    for (const LogField& field : fields) {
      line += " " + std::string(field.name) + "=\"";
      append_escaped(line, field.value);
      line += '"';
    }
  }
  log.logger->log(spdlog::level::info, line);
}

}  // namespace larder::base
