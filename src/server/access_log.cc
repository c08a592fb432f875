#include "server/access_log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace larder::server {

namespace {

constexpr std::size_t kBufferSize = 64 * 1024;
// Of a path in a line; longer ones are cut.
constexpr std::size_t kPathLimit = 1024;
// Of a field's value; longer ones are cut.
constexpr std::size_t kFieldLimit = 256;

void append_number(std::string& line, std::uint64_t number) {
  char text[24];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number);
  line.append(text, static_cast<std::size_t>(end - text));
}

void append_escaped(std::string& line, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  text = text.substr(0, kPathLimit);
  const auto is_plain = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f && byte != '"' && byte != '\\';
  };
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    line += text;
    return;
  }
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain(c)) {
      line.push_back(c);
    } else {
      line += "\\x";
      line.push_back(kDigits[byte >> 4]);
      line.push_back(kDigits[byte & 15]);
    }
  }
}

// Bytes beyond ASCII as if they were Latin-1: clients send what they like, and a line stays JSON.
void append_json(std::string& line, std::string_view text, std::size_t limit) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      line.push_back(c);
    } else {
      line += "\\u00";
      line.push_back(kDigits[byte >> 4]);
      line.push_back(kDigits[byte & 15]);
    }
  }
}

}  // namespace

base::Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& path,
                                                         AccessFormat format) {
  std::unique_ptr<AccessLog> log(new AccessLog(path, format));
  const std::lock_guard lock(log->mutex_);
  LARDER_TRY(log->open_locked());
  return log;
}

base::Status AccessLog::reopen() {
  const std::lock_guard lock(mutex_);
  return open_locked();
}

base::Status AccessLog::open_locked() {
  LARDER_TRY(base::make_directories(std::filesystem::path(path_).parent_path().string(), 0750));
  base::UniqueFd fd(
      ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd) return base::fail_errno("cannot open the access log " + path_, errno);
  fd_ = std::move(fd);
  return {};
}

// Makes the file one that may take so many bytes more. Its size is asked for each time: others
// empty it.
base::Status AccessLog::make_room_locked(std::size_t more) {
  struct stat facts{};
  if (::fstat(fd_.get(), &facts) != 0) return base::fail_errno("cannot look at " + path_, errno);
  if (facts.st_nlink == 0) return open_locked();
  if (static_cast<std::uint64_t>(facts.st_size) + more <= kTurnOver) return {};
  const std::string old = path_ + ".old";
  if (::rename(path_.c_str(), old.c_str()) != 0 && errno != ENOENT) {
    return base::fail_errno(path_ + " is full and cannot be renamed to " + old, errno);
  }
  return open_locked();
}

void AccessLog::write(std::string_view lines) {
  const std::lock_guard lock(mutex_);
  base::Status written = make_room_locked(lines.size());
  if (written) written = base::write_all(fd_.get(), lines);
  if (!written) failed_writes_.fetch_add(1, std::memory_order_relaxed);
  if (std::exchange(is_failing_, !written) == !written) return;
  if (written) {
    base::log_info("the access log is written again", {{"path", path_}});
  } else {
    base::log_error("lines of the access log are lost", {{"reason", written.error().message}});
  }
}

// Ticks with the loop; writes what is a second old.
class AccessLog::Buffer::Flush final : public net::Timed {
 public:
  Flush(Buffer& buffer, net::Loop& loop) : buffer_(buffer) { loop.watch(*this); }
  void arm() {
    if (deadline_ == base::SteadyTime::max()) {
      deadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    }
  }

 private:
  void expire() override {
    if (!buffer_.lines_.empty()) buffer_.log_.write(buffer_.lines_);
    buffer_.lines_.clear();
  }
  Buffer& buffer_;
};

AccessLog::Buffer::Buffer(AccessLog& log, net::Loop& loop)
    : log_(log), flush_(std::make_unique<Flush>(*this, loop)) {
  lines_.reserve(kBufferSize + 2048);
}

AccessLog::Buffer::~Buffer() {
  if (!lines_.empty()) log_.write(lines_);
}

namespace {

void write_text(const AccessRecord& record, AccessLine& line) {
  std::string& request = line.request;
  append_escaped(request, record.method);
  request.push_back(' ');
  request += record.scheme;
  request += "://";
  append_escaped(request, record.host);
  append_escaped(request, record.path);
  if (record.has_query) request += "?...";
  request.push_back(' ');
  append_number(request, static_cast<std::uint64_t>(record.status));
  request.push_back(' ');
  append_number(request, record.bytes);
  line.outcome = record.cache;
  line.outcome.push_back(' ');
  // Reasons are sentences for people elsewhere; here each column is one word.
  for (const char c : record.reason) line.outcome.push_back(c == ' ' ? '-' : c);
}

void write_json(const AccessRecord& record, AccessLine& line) {
  std::string& request = line.request;
  request += R"("method":")";
  append_json(request, record.method, kPathLimit);
  request += R"(","url":")";
  request += record.scheme;
  request += "://";
  append_json(request, record.host, kPathLimit);
  append_json(request, record.path, kPathLimit);
  if (record.has_query) request += "?...";
  request += R"(","status":)";
  append_number(request, static_cast<std::uint64_t>(record.status));
  request += R"(,"bytes":)";
  append_number(request, record.bytes);
  request += R"(,"from_store":)";
  append_number(request, record.from_store);
  request += R"(,"from_origin":)";
  append_number(request, record.from_origin);
  if (!record.range.empty()) {
    request += R"(,"range":")";
    append_json(request, record.range, kFieldLimit);
    request.push_back('"');
  }
  if (!record.user_agent.empty()) {
    request += R"(,"user_agent":")";
    append_json(request, record.user_agent, kFieldLimit);
    request.push_back('"');
  }
  line.outcome = R"("cache":")";
  line.outcome += record.cache;
  line.outcome += R"(","reason":")";
  for (const char c : record.reason) line.outcome.push_back(c == ' ' ? '-' : c);
  line.outcome.push_back('"');
}

// What stands between the parts of a line.
struct Frame {
  std::string_view begin, after_time, after_client, after_request, after_duration, after_outcome,
      end;
};
constexpr Frame kTextFrame{"", " ", " ", " ", " ", " ", "\n"};
constexpr Frame kJsonFrame{
    R"({"time":")", R"(","client":")", R"(",)", R"(,"microseconds":)", ",", R"(,"id":")", "\"}\n"};
constexpr std::size_t kFrameSize = 64;  // of either, at most

}  // namespace

void write_access_line(const AccessRecord& record, AccessFormat format, AccessLine& line) {
  line.request.clear();
  if (format == AccessFormat::Json) {
    write_json(record, line);
  } else {
    write_text(record, line);
  }
}

void AccessLog::Buffer::append(const AccessRecord& record, base::WallTime now) {
  write_access_line(record, log_.format_, line_);
  append(record.client, line_, record.duration, record.request_id, now);
}

void AccessLog::Buffer::append(std::string_view client, const AccessLine& line,
                               std::chrono::microseconds duration, std::string_view request_id,
                               base::WallTime now) {
  const auto since = now.time_since_epoch();
  const auto second = std::chrono::floor<std::chrono::seconds>(since);
  if (second.count() != second_) {
    second_ = second.count();
    second_text_ = base::to_rfc3339(now);
    second_text_.pop_back();
  }
  const auto milliseconds =
      static_cast<unsigned>(std::chrono::floor<std::chrono::milliseconds>(since - second).count());
  const char fraction[] = {'.', static_cast<char>('0' + milliseconds / 100),
                           static_cast<char>('0' + milliseconds / 10 % 10),
                           static_cast<char>('0' + milliseconds % 10), 'Z'};
  constexpr std::size_t kNumber = 20;
  const std::size_t before = lines_.size();
  const Frame& frame = log_.format_ == AccessFormat::Json ? kJsonFrame : kTextFrame;
  const std::size_t most = second_text_.size() + sizeof fraction + client.size() +
                           line.request.size() + kNumber + line.outcome.size() + request_id.size() +
                           kFrameSize;
  lines_.resize_and_overwrite(before + most, [&](char* begin, std::size_t /*size*/) {
    char* to = begin + before;
    const auto put = [&to](std::string_view text) {
      std::memcpy(to, text.data(), text.size());
      to += text.size();
    };
    put(frame.begin);
    put(second_text_);
    put({fraction, sizeof fraction});
    put(frame.after_time);
    put(client);
    put(frame.after_client);
    put(line.request);
    put(frame.after_request);
    to = std::to_chars(to, to + kNumber, duration.count()).ptr;
    put(frame.after_duration);
    put(line.outcome);
    put(frame.after_outcome);
    put(request_id);
    put(frame.end);
    return static_cast<std::size_t>(to - begin);
  });
  flush_->arm();
  if (lines_.size() >= kBufferSize) {
    log_.write(lines_);
    lines_.clear();
  }
}

}  // namespace larder::server
