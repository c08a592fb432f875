#include "cli/get_progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "cli/output.h"

namespace larder::cli {
namespace {

constexpr std::uint64_t kBarWidth = 24;  // characters

std::uint64_t percent(const agent::Progress& progress) {
  if (progress.total == 0) return 0;
  const double share = static_cast<double>(progress.done) / static_cast<double>(progress.total);
  return std::min<std::uint64_t>(100, static_cast<std::uint64_t>(share * 100));
}

void print_result(const agent::GetResult& result) {
  for (const agent::Downloaded& file : result.files) {
    print_line(printable(file.path) + "  " + base::format_byte_count(file.size) + "  sha256 " +
               file.sha256);
  }
  for (const auto& [source, bytes] : result.bytes_by_source)
    print_line("from " + printable(source) + ": " + base::format_byte_count(bytes));
}

// Redraws one line in place, on standard error: standard output stays clean for the result.
class TerminalListener final : public GetListener {
 public:
  void on_progress(const agent::Progress& progress) override {
    const std::uint64_t full = percent(progress) * kBarWidth / 100;
    std::string bar(full, '#');
    bar.append(kBarWidth - full, '.');
    std::fprintf(stderr, "\r\033[K[%s] %s", bar.c_str(), format_progress(progress).c_str());
    is_drawn_ = true;
    if (progress.total != 0 && progress.done == progress.total) end_line();
  }
  void on_source_failed(const std::string& source, const base::Error& error) override {
    end_line();
    std::fprintf(stderr, "%s failed: %s\n", printable(source).c_str(),
                 printable(error.message).c_str());
  }
  void finish(const agent::GetResult& result) override {
    end_line();
    print_result(result);
  }
  void fail(const base::Error&) override { end_line(); }

 private:
  void end_line() {
    if (is_drawn_) std::fputc('\n', stderr);
    is_drawn_ = false;
  }
  bool is_drawn_ = false;
};

// A line per tenth of a file, so that a log stays short.
class LineListener final : public GetListener {
 public:
  void on_progress(const agent::Progress& progress) override {
    const std::uint64_t tenth = percent(progress) / 10;
    if (progress.file == file_ && tenth == tenth_) return;
    file_ = progress.file;
    tenth_ = tenth;
    std::fprintf(stderr, "%s\n", format_progress(progress).c_str());
  }
  void on_source_failed(const std::string& source, const base::Error& error) override {
    std::fprintf(stderr, "%s failed: %s\n", printable(source).c_str(),
                 printable(error.message).c_str());
  }
  void finish(const agent::GetResult& result) override { print_result(result); }
  void fail(const base::Error&) override {}

 private:
  std::string file_;
  std::uint64_t tenth_ = 0;
};

class JsonListener final : public GetListener {
 public:
  void on_progress(const agent::Progress& progress) override {
    nlohmann::json event = {
        {"event", "progress"},       {"file", progress.file},
        {"source", progress.source}, {"done", progress.done},
        {"total", progress.total},   {"bytes_per_second", progress.bytes_per_second}};
    if (progress.remaining) event["remaining_seconds"] = progress.remaining->count();
    print(event);
  }
  void on_source_failed(const std::string& source, const base::Error& error) override {
    print({{"event", "source-failed"},
           {"source", source},
           {"code", base::name(error.code)},
           {"message", error.message}});
  }
  void finish(const agent::GetResult& result) override {
    nlohmann::json files = nlohmann::json::array();
    for (const agent::Downloaded& file : result.files)
      files.push_back({{"path", file.path}, {"size", file.size}, {"sha256", file.sha256}});
    print({{"event", "done"}, {"files", files}, {"bytes_by_source", result.bytes_by_source}});
  }
  void fail(const base::Error& error) override {
    print({{"event", "failed"}, {"code", base::name(error.code)}, {"message", error.message}});
  }

 private:
  static void print(const nlohmann::json& event) {
    print_line(event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
};

}  // namespace

std::string format_progress(const agent::Progress& progress) {
  std::string out = printable(progress.file) + "  ";
  if (progress.total != 0) {
    out += std::to_string(percent(progress)) + " %  " + base::format_byte_count(progress.done) +
           " of " + base::format_byte_count(progress.total);
  } else {
    out += base::format_byte_count(progress.done);
  }
  out += "  " + base::format_byte_count(progress.bytes_per_second) + "/s";
  if (!progress.source.empty()) out += "  " + printable(progress.source);
  if (progress.remaining) out += "  " + std::to_string(progress.remaining->count()) + " s left";
  return out;
}

std::unique_ptr<GetListener> make_progress_listener(bool json) {
  if (json) return std::make_unique<JsonListener>();
  if (isatty(STDERR_FILENO) != 0) return std::make_unique<TerminalListener>();
  return std::make_unique<LineListener>();
}

}  // namespace larder::cli
