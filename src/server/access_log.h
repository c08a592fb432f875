// The access log: one line a request, written in batches from buffers of the threads.
//
//   <time> <client> <method> <scheme>://<host><target> <status> <bytes> <microseconds> <cache>
//   <reason> <request id>
//
// or, as JSON, an object with these members and more: see docs/operations.md.
//
// The query's values are left out: signed URLs are secrets. Control characters and spaces of the
// request are escaped. The file is turned over to <path>.old at a size, so that it is bounded
// whatever happens: one that cannot be renamed takes no more lines. Who rotates files by other
// means moves it away and has it reopened. Their names, <path>.1 and so on, are left alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "net/loop.h"

namespace larder::server {

enum class AccessFormat : std::uint8_t { Text, Json };

struct AccessRecord {
  std::string_view client;
  std::string_view method;
  std::string_view scheme;
  std::string_view host;
  std::string_view path;
  bool has_query = false;
  int status = 0;
  std::uint64_t bytes = 0;
  std::chrono::microseconds duration{0};
  std::string_view cache;
  std::string_view reason;
  std::string_view request_id;
  // In JSON alone.
  std::string_view range;
  std::string_view user_agent;
  std::uint64_t from_store = 0;
  std::uint64_t from_origin = 0;
};

// What is the same for every request that is answered alike, escaped already.
struct AccessLine {
  std::string request;  // from the method to the bytes, or to the user agent
  std::string outcome;  // from the cache to the reason
};

// Thread-safe; outlives its buffers.
void write_access_line(const AccessRecord& record, AccessFormat format, AccessLine& line);

class AccessLog {
 public:
  static constexpr std::uint64_t kTurnOver = 512ULL << 20;

  // Opens or creates the file (0640) and its folder.
  static base::Result<std::unique_ptr<AccessLog>> open(const std::string& path,
                                                       AccessFormat format = AccessFormat::Text);

  // Appends whole lines; a failure costs the lines, is counted and never waited for. The first one
  // after a success, and the first success, are told in the event log. A file that was deleted is
  // made anew, with its folder.
  void write(std::string_view lines);

  // Opens the path anew, for whoever has moved the file away. An error keeps the file in use.
  base::Status reopen();

  const std::string& path() const { return path_; }
  AccessFormat format() const { return format_; }
  // Batches of lines that could not be written.
  std::uint64_t failed_writes() const { return failed_writes_.load(std::memory_order_relaxed); }

  // Collects the lines of one loop: written at 64 KiB or after a second.
  class Buffer {
   public:
    Buffer(AccessLog& log, net::Loop& loop);
    ~Buffer();
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    void append(const AccessRecord& record, base::WallTime now);
    void append(std::string_view client, const AccessLine& line, std::chrono::microseconds duration,
                std::string_view request_id, base::WallTime now);

   private:
    class Flush;
    AccessLog& log_;
    std::string lines_;
    AccessLine line_;  // of append(record): its strings are reused
    std::int64_t second_ = -1;
    std::string second_text_;
    std::unique_ptr<Flush> flush_;
  };

 private:
  AccessLog(std::string path, AccessFormat format) : path_(std::move(path)), format_(format) {}
  base::Status open_locked();
  base::Status make_room_locked(std::size_t more);

  const std::string path_;
  const AccessFormat format_;
  std::atomic<std::uint64_t> failed_writes_ = 0;
  std::mutex mutex_;  // guards what follows
  base::UniqueFd fd_;
  bool is_failing_ = false;  // the last lines were lost, and that was told
};

}  // namespace larder::server
