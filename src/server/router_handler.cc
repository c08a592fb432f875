#include "server/router_handler.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "http/head_writer.h"
#include "http/target.h"

namespace larder::server {

namespace {

constexpr std::size_t kQueryValueLimit = 4096;
constexpr std::size_t kQueryParameterLimit = 64;

// A body on its way into a file; the file goes with it unless a handler has moved it.
class BodyFile {
 public:
  BodyFile() = default;
  ~BodyFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  BodyFile(const BodyFile&) = delete;
  BodyFile& operator=(const BodyFile&) = delete;

  base::Status open(const std::string& folder) {
    std::array<std::uint8_t, 12> name{};
    base::random_bytes(name);
    path_ = folder + "/upload-" + base::to_hex(name);
    fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd_) return base::fail_errno("cannot create " + path_, errno);
    return {};
  }
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }
  void close() { fd_.reset(); }

 private:
  std::string path_;
  base::UniqueFd fd_;
};

// False when a parameter is malformed or stands there twice.
bool read_query(std::string_view query, std::map<std::string, std::string>& out) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (parameter.empty()) continue;
    const std::size_t equals = parameter.find('=');
    const auto name = http::percent_decode(parameter.substr(0, equals), kQueryValueLimit);
    const auto value = http::percent_decode(
        equals == std::string_view::npos ? std::string_view() : parameter.substr(equals + 1),
        kQueryValueLimit);
    if (!name || !value || out.size() >= kQueryParameterLimit) return false;
    if (!out.emplace(*name, *value).second) return false;
  }
  return true;
}

class RouterHandler final : public Handler {
 public:
  RouterHandler(const Router& router, net::WorkerPool& pool) : router_(router), pool_(pool) {}

  net::Task<void> answer(Exchange& exchange) override {
    BodyFile body_file;
    Reply reply = co_await reply_to(exchange, body_file);
    exchange.outcome.status = reply.status;
    co_await write(exchange, std::move(reply));
  }

 private:
  net::Task<Reply> reply_to(Exchange& exchange, BodyFile& body_file) {
    const http::RequestHead& head = exchange.head();
    if (head.form != http::TargetForm::Origin && head.form != http::TargetForm::Absolute) {
      co_return problem_reply(400, "bad-request", "the request target must be a path");
    }
    const Router::Match match = router_.match(head.method_text, head.path);
    if (match.route == nullptr) {
      if (!match.path_known) co_return problem_reply(404, "not-found", "there is no such resource");
      Reply reply = problem_reply(405, "method-not-allowed", "this resource has other methods");
      reply.fields.emplace_back("Allow", match.allow);
      co_return reply;
    }
    RouteRequest request;
    request.method = head.method_text;
    request.path = head.path;
    request.captures = match.captures;
    if (!read_query(head.query, request.query)) {
      co_return problem_reply(400, "bad-query", "the query is malformed or repeats a parameter");
    }
    for (std::size_t i = 0; i < head.field_count; ++i) {
      request.fields.emplace_back(head.fields[i].name, head.fields[i].value);
    }
    request.peer = exchange.peer();
    if (std::optional<Reply> refusal =
            co_await read_body(exchange, match.route->options, request, body_file)) {
      co_return std::move(*refusal);
    }
    if (match.route->task) co_return co_await match.route->task(std::move(request));
    base::Result<Reply> reply =
        co_await pool_.run([&]() -> base::Result<Reply> { return match.route->blocking(request); });
    if (!reply)
      co_return problem_reply(503, "overloaded", "too many requests are waiting; try again");
    co_return std::move(*reply);
  }

  // Nothing when the whole body was read.
  net::Task<std::optional<Reply>> read_body(Exchange& exchange, const RouteOptions& options,
                                            RouteRequest& request, BodyFile& body_file) {
    const bool to_file = !options.body_folder.empty();
    if (exchange.head().content_length.value_or(0) > options.body_limit) {
      co_return problem_reply(413, "too-large", "the request's body is larger than allowed here");
    }
    if (to_file) {
      if (const base::Status opened = body_file.open(options.body_folder); !opened) {
        base::log_error("cannot take a request's body", {{"reason", opened.error().message}});
        co_return problem_reply(500, "internal", "the body could not be stored");
      }
      request.body_file = body_file.path();
    }
    const auto buffer = std::make_unique<std::array<char, 64 * 1024>>();
    std::uint64_t total = 0;
    for (;;) {
      const base::Result<std::size_t> got = co_await exchange.read_body(*buffer);
      if (!got) co_return problem_reply(400, "bad-body", "the request's body could not be read");
      if (*got == 0) break;
      total += *got;
      if (total > options.body_limit) {
        exchange.close_connection();
        co_return problem_reply(413, "too-large", "the request's body is larger than allowed here");
      }
      if (!to_file) {
        request.body.append(buffer->data(), *got);
        continue;
      }
      const base::Status stored = co_await pool_.run([&]() -> base::Status {
        return base::write_all(body_file.fd(), std::string_view(buffer->data(), *got));
      });
      if (!stored) {
        base::log_error("cannot store a request's body", {{"reason", stored.error().message}});
        exchange.close_connection();
        co_return problem_reply(507, "no-space", "the body could not be stored");
      }
    }
    body_file.close();
    co_return std::nullopt;
  }

  net::Task<void> write(Exchange& exchange, Reply reply) {
    const bool has_body = reply.status != 204 && reply.status != 304;
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " " +
                       std::string(http::reason_phrase(reply.status)) +
                       "\r\nDate: " + std::string(http_date_now()) + "\r\n";
    for (const auto& [name, value] : reply.fields)
      head.append(name).append(": ").append(value).append("\r\n");
    if (has_body) {
      const std::uint64_t length = reply.file ? reply.file_length : reply.body.size();
      head += "Content-Length: " + std::to_string(length) + "\r\n";
    }
    if (exchange.closing()) head += "Connection: close\r\n";
    head += "\r\n";
    net::Outgoing out;
    out.head = head;
    if (has_body && exchange.head().method != http::Method::Head) {
      out.memory = reply.file ? std::string_view() : std::string_view(reply.body);
      if (reply.file) {
        out.file = reply.file.get();
        out.file_offset = reply.file_offset;
        out.file_length = reply.file_length;
      }
    }
    co_await exchange.send(std::move(out));
  }

  const Router& router_;
  net::WorkerPool& pool_;
};

}  // namespace

HandlerFactory route_with(const Router& router, net::WorkerPool& pool) {
  return [&router, &pool](net::Loop& /*loop*/) {
    return std::make_unique<RouterHandler>(router, pool);
  };
}

}  // namespace larder::server
