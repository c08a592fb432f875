// Routes of the site and of control sockets: a handler sees a whole request and returns a whole
// reply. (Delivery of cached content does not go through here; it has its own path in node/.)
//
// Blocking handlers run on a small pool of worker threads, several at once: they may use SQL and
// files and must be thread-safe. Task handlers run on the loop thread and must not block; they are
// for long polls.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/unique_fd.h"
#include "net/task.h"
#include "server/peer.h"

namespace larder::server {

struct RouteRequest {
  std::string method;
  std::string path;                             // as sent, without the query
  std::map<std::string, std::string> captures;  // "{name}" of the pattern, percent-decoded
  std::map<std::string, std::string>
      query;  // decoded; a repeated name is refused with 400 before the handler
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;       // whole, within the route's limit
  std::string body_file;  // path, when the route asked for the body as a file; the handler moves or
                          // the server deletes it
  Peer peer;

  // First field of that name in any case; empty when absent.
  std::string_view field(std::string_view name) const;
  // Number of fields of that name.
  std::size_t field_count(std::string_view name) const;
};

struct Reply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> fields;  // Content-Length and Date are added
  std::string body;
  // Instead of body: `file_length` bytes of an open file from `file_offset` on.
  base::UniqueFd file;
  std::uint64_t file_offset = 0;
  std::uint64_t file_length = 0;
};

// {"...": "..."} with status 200 and content type application/json.
Reply json_reply(std::string body, int status = 200);
Reply text_reply(int status, std::string_view text);
// RFC 9457: urn:larder:problem:<name>, with a public sentence.
Reply problem_reply(int status, std::string_view name, std::string_view detail);

using BlockingHandler = std::function<Reply(const RouteRequest&)>;
using TaskHandler = std::function<net::Task<Reply>(RouteRequest)>;

struct RouteOptions {
  std::uint64_t body_limit = 1 << 20;  // bytes; more is answered 413
  std::string body_folder;             // not empty: the body is written to a new 0600 file there
};

class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // `pattern` is a path with captures of one segment: "/api/v1/clients/{id}/block". GET routes
  // answer HEAD too.
  void add(std::string method, const std::string& pattern, BlockingHandler handler,
           RouteOptions options = {});
  void add_task(std::string method, const std::string& pattern, TaskHandler handler,
                RouteOptions options = {});

  struct Route {
    std::string method;
    std::vector<std::string> segments;
    BlockingHandler blocking;
    TaskHandler task;
    RouteOptions options;
  };
  struct Match {
    const Route* route = nullptr;  // null: no such path, or (path_known) not this method
    bool path_known = false;
    std::string allow;  // methods of the path, for 405
    std::map<std::string, std::string> captures;
  };
  Match match(std::string_view method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace larder::server
