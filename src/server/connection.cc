#include "server/connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "http/chunked_decoder.h"
#include "http/date.h"
#include "http/head_writer.h"

namespace larder::server {

namespace {

constexpr std::size_t kReadSize = 64 * 1024;
// Bytes of an unread request body that are read and thrown away to keep the connection.
constexpr std::size_t kDrainLimit = 64 * 1024;
// A connection that was silent for so long gives its buffers back.
constexpr std::chrono::milliseconds kActive{1000};

struct ThreadBuffers {
  char received[kReadSize];
  http::RequestHead head;
};

ThreadBuffers& buffers() {
  thread_local const auto instance = std::make_unique<ThreadBuffers>();
  return *instance;
}

base::SteadyTime now() {
  return std::chrono::steady_clock::now();
}

// Whether so many bytes are too few for one interval of Timeouts::stall.
bool is_too_slow(std::uint64_t bytes, const ConnectionRules& rules) {
  const auto seconds = std::chrono::duration<double>(rules.timeouts.stall).count();
  return static_cast<double>(bytes) < static_cast<double>(rules.lowest_rate) * seconds;
}

// Takes up to `limit` bytes off the front. What it gives points to where `out` points.
net::Outgoing take_front(net::Outgoing& out, std::uint64_t limit) {
  net::Outgoing piece = out;
  piece.head = out.head.substr(0, limit);
  out.head.remove_prefix(piece.head.size());
  limit -= piece.head.size();
  piece.memory = out.memory.substr(0, limit);
  out.memory.remove_prefix(piece.memory.size());
  limit -= piece.memory.size();
  piece.file_length = std::min(out.file_length, limit);
  out.file_offset += piece.file_length;
  out.file_length -= piece.file_length;
  if (out.mapped != nullptr) out.mapped += piece.file_length;
  return piece;
}

// Whether a client takes its answer fast enough, judged by what has left the machine: the kernel
// says that a socket is writable again only when a third of its buffer is free, which a slow reader
// may take minutes for.
class Progress {
 public:
  explicit Progress(const ConnectionRules& rules) : rules_(rules) {}
  bool has_begun() const { return since_ != base::SteadyTime{}; }
  void begin(net::Stream& stream, const net::Outgoing& out, base::SteadyTime at) {
    since_ = at;
    left_ = left(stream, out);
  }
  base::SteadyTime end() const { return since_ + rules_.timeouts.stall; }
  // At the end of an interval: false when it was too slow; else the next one begins.
  bool is_enough(net::Stream& stream, const net::Outgoing& out, base::SteadyTime at) {
    const std::uint64_t before = left_;
    begin(stream, out, at);
    const std::uint64_t taken = before - std::min(before, left_);
    return taken > 0 && !is_too_slow(taken, rules_);
  }

 private:
  static std::uint64_t left(net::Stream& stream, const net::Outgoing& out) {
    int unsent = 0;
    if (::ioctl(stream.socket().fd(), SIOCOUTQ, &unsent) != 0) unsent = 0;
    return out.size() + stream.unsent() + static_cast<std::uint64_t>(unsent);
  }
  const ConnectionRules& rules_;
  base::SteadyTime since_{};
  std::uint64_t left_ = 0;
};

}  // namespace

// A request whose views outlive the thread's buffers.
struct Connection::OwnedRequest {
  std::string bytes;
  http::RequestHead head;
};

std::unique_ptr<Connection::OwnedRequest> Connection::take_request(const http::HeadParse& parse) {
  auto request = std::make_unique<OwnedRequest>();
  request->bytes.assign(received_.substr(0, parse.consumed));
  take_bytes(parse.consumed);
  // Parsed anew because the views must point into the copy; the result is the same by construction.
  http::parse_request_head(request->bytes, request->head);
  return request;
}

void Connection::take_bytes(std::size_t count) {
  if (pending_.empty()) {
    pending_.assign(received_.substr(count));
  } else {
    pending_.erase(0, count);
  }
  received_ = {};
}

struct Exchange::Body {
  std::uint64_t received = 0;  // of the socket, since `since`
  base::SteadyTime since{};    // when the running interval of Timeouts::stall began
  std::uint64_t remaining = 0;
  std::unique_ptr<http::ChunkedDecoder> chunked;
  bool failed = false;
  bool done = false;  // chunked: the last chunk was read
};

Exchange::Exchange(Connection& connection, const http::RequestHead& head, base::SteadyTime start)
    : start_(start), connection_(connection), head_(&head) {}
Exchange::~Exchange() = default;

const Peer& Exchange::peer() const {
  return connection_.peer_;
}

bool Exchange::closing() const {
  return connection_.draining_ || !keep_alive();
}

net::Task<bool> Exchange::send(net::Outgoing out) {
  const std::uint64_t size = out.size();
  if (first_sent_ == base::SteadyTime{}) first_sent_ = now();
  const bool sent = co_await connection_.write(std::move(out));
  outcome.bytes += sent ? size : size - std::min(size, connection_.unsent_);
  if (!sent) {
    outcome.complete = false;
    keep_alive_ = false;
  }
  co_return sent;
}

void Exchange::try_send_interim(std::string_view head) {
  if (first_sent_ != base::SteadyTime{} || head_->version_minor == 0 || connection_.is_paced())
    return;
  net::Outgoing out;
  out.head = head;
  switch (connection_.stream_->try_write(out)) {
    case net::IoState::Done:
      outcome.bytes += head.size();
      return;
    case net::IoState::WouldBlock:
      // Over TLS it is sealed, and leaves before what follows.
      if (connection_.stream_->is_tls()) outcome.bytes += head.size();
      if (connection_.stream_->is_tls() || out.head.size() == head.size()) return;
      break;
    default:
      break;
  }
  // Half of it is on its way: nothing can follow any more.
  outcome.complete = false;
  keep_alive_ = false;
  connection_.broken_ = true;
  connection_.abort();
}

net::Task<base::Result<std::size_t>> Exchange::read_body(std::span<char> into) {
  if (!body_) {
    body_ = std::make_unique<Body>();
    body_->remaining = head_->content_length.value_or(0);
    if (head_->chunked) body_->chunked = std::make_unique<http::ChunkedDecoder>();
    body_->since = now();
  }
  Body& body = *body_;
  for (;;) {
    if (body.failed) co_return base::fail(base::ErrorCode::InvalidArgument, "broken request body");
    if (body.chunked ? body.done : body.remaining == 0) co_return std::size_t{0};
    std::string& pending = connection_.pending_;
    if (!pending.empty()) {
      if (!body.chunked) {
        const std::size_t count =
            std::min<std::uint64_t>({into.size(), pending.size(), body.remaining});
        std::memcpy(into.data(), pending.data(), count);
        pending.erase(0, count);
        body.remaining -= count;
        co_return count;
      }
      const http::ChunkedDecoder::Step step =
          body.chunked->next(std::string_view(pending).substr(0, into.size()));
      using State = http::ChunkedDecoder::Step::State;
      if (step.state == State::Data) std::memcpy(into.data(), step.data.data(), step.data.size());
      const std::size_t produced = step.data.size();
      pending.erase(0, step.consumed);
      body.failed = step.state == State::Bad;
      body.done = step.state == State::End;
      if (body.failed) keep_alive_ = false;
      if (produced > 0) co_return produced;
      if (step.state != State::NeedMore || !pending.empty()) continue;
    }
    if (head_->expect_continue && !continued_) {
      continued_ = true;
      net::Outgoing out;
      out.head = "HTTP/1.1 100 Continue\r\n\r\n";
      if (!co_await connection_.write(std::move(out))) {
        keep_alive_ = false;
        co_return base::fail(base::ErrorCode::Unavailable, "the client left");
      }
    }
    bool stalled = false;
    std::size_t got = 0;
    const net::IoState state = connection_.stream_->try_read(buffers().received, got);
    const ConnectionRules& rules = connection_.rules_;
    if (state == net::IoState::Done) {
      pending.append(buffers().received, got);
      body.received += got;
      if (const base::SteadyTime at = net::Loop::current().now();
          at - body.since >= rules.timeouts.stall) {
        stalled = is_too_slow(body.received, rules);
        body.since = at;
        body.received = 0;
      }
    } else if (state != net::IoState::WouldBlock) {
      keep_alive_ = false;
      co_return base::fail(base::ErrorCode::Unavailable,
                           "the client left within the request's body");
    } else {
      const base::SteadyTime deadline = now() + rules.timeouts.stall;
      const bool ready = co_await connection_.stream_->socket().readable(deadline);
      stalled = !ready && net::Loop::current().now() >= deadline;
      if (!ready && !stalled) {
        keep_alive_ = false;
        co_return base::fail(base::ErrorCode::Unavailable, "the server stops");
      }
    }
    if (stalled) {
      keep_alive_ = false;
      rules.counts->slow_bodies.fetch_add(1, std::memory_order_relaxed);
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the request's body stalled");
    }
  }
}

bool Connection::fail_to_write(const net::Outgoing& rest) {
  broken_ = true;
  unsent_ = rest.size() + stream_->unsent();
  return false;
}

void Connection::take_back_unsent(Outcome& outcome) const {
  outcome.complete = false;
  outcome.bytes -= std::min(outcome.bytes, unsent_);
  outcome.body_from_store -= std::min(outcome.body_from_store, unsent_);
}

net::Task<bool> Connection::write_at_once(net::Outgoing out) {
  if (broken_) co_return fail_to_write(out);
  net::Socket& socket = stream_->socket();
  Progress progress(rules_);
  for (;;) {
    switch (stream_->try_write(out)) {
      case net::IoState::Done:
        co_return true;
      case net::IoState::WouldBlock:
        break;
      case net::IoState::Yield:
        co_await net::yield();
        continue;
      case net::IoState::Closed:
      case net::IoState::Failed:
        co_return fail_to_write(out);
    }
    if (!progress.has_begun()) progress.begin(*stream_, out, now());
    const bool ready = co_await socket.writable(progress.end());
    if (net::Loop::current().now() < progress.end()) {
      if (ready) continue;
    } else if (progress.is_enough(*stream_, out, now())) {
      continue;
    } else {
      rules_.counts->slow_readers.fetch_add(1, std::memory_order_relaxed);
    }
    // Too slow, or cancelled. What the kernel still holds for such a client goes with the
    // connection.
    const struct linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    co_return fail_to_write(out);
  }
}

net::Task<bool> Connection::write_paced(net::Outgoing out) {
  while (rules_.egress != nullptr && !out.empty()) {
    const std::uint64_t granted = co_await rules_.egress->turn(*egress_, egress_share_, out.size());
    if (!co_await write_at_once(take_front(out, granted))) {
      unsent_ += out.size();
      co_return false;
    }
  }
  co_return co_await write_at_once(std::move(out));  // the limit is gone
}

std::string_view http_date_now() {
  struct Cached {
    std::time_t second = -1;
    std::string text;
  };
  thread_local Cached cached;
  const std::time_t second = std::time(nullptr);
  if (second != cached.second) {
    cached.second = second;
    cached.text = http::date_text(base::from_unix_seconds(second));
  }
  return cached.text;
}

net::Task<void> Connection::serve() {
  for (;;) {
    http::RequestHead& head = buffers().head;
    http::HeadParse parse;
    if (pending_.empty() && stream_->is_drained() && !fresh_ && !draining_) {
      // The usual case without a further coroutine: one wait, one read, one whole request.
      idle_ = true;
      idle_since_ = net::Loop::current().now();
      bool ready = co_await stream_->socket().readable(idle_since_ +
                                                       std::min(kActive, rules_.timeouts.idle));
      if (!ready && rules_.timeouts.idle > kActive && !draining_) {
        stream_->release_memory();
        ready = co_await stream_->socket().readable(idle_since_ + rules_.timeouts.idle);
      }
      idle_ = false;
      if (!ready) co_return;
      if (receive()) {
        // Ready since the loop woke: waiting for others' turns counts too.
        const base::SteadyTime start = net::Loop::current().now();
        std::string rest;
        const Repeated repeated = draining_ || is_paced() ? Repeated::No : try_repeat(start, rest);
        if (repeated == Repeated::Sent) continue;
        if (repeated != Repeated::No) {
          if (co_await finish_repeating(start, std::move(rest))) continue;
          co_await linger();
          co_return;
        }
        parse = parse_received(head);
      }
    }
    if (parse.state == http::HeadParse::State::NeedMore) {
      parse = co_await read_head(head);
      first_ = false;
    }
    if (parse.state == http::HeadParse::State::NeedMore) co_return;
    if (parse.state == http::HeadParse::State::Bad) {
      co_await refuse(parse);
      co_return;
    }
    const base::SteadyTime start = now();
    bool keep = false;
    {
      Exchange exchange(*this, head, start);
      exchange.raw_head_ = received_.substr(0, parse.consumed);
      net::Outgoing out;
      if (!head.has_body() && handler_.try_answer(exchange, out)) {
        exchange.outcome.bytes = out.size();
        keep = exchange.keep_alive() && !draining_;
        const net::IoState state = is_paced() ? net::IoState::WouldBlock : stream_->try_write(out);
        if (state == net::IoState::Done) {
          handler_.finished(exchange);
          take_bytes(parse.consumed);
        } else {
          // What must outlive the wait is set aside: the request for the log, the head of the
          // answer, pipelined bytes.
          const std::unique_ptr<OwnedRequest> request = take_request(parse);
          exchange.head_ = &request->head;
          const std::string answer_head(out.head);
          out.head = answer_head;
          exchange.first_sent_ = now();
          const bool sent =
              state == net::IoState::Failed ? fail_to_write(out) : co_await write(std::move(out));
          if (!sent) take_back_unsent(exchange.outcome);
          keep = keep && sent;
          handler_.finished(exchange);
        }
        if (keep) continue;
        co_await linger();
        co_return;
      }
    }
    keep = co_await answer_slowly(parse, start);
    if (!keep || draining_) {
      co_await linger();
      co_return;
    }
  }
}

net::Task<bool> Connection::answer_slowly(http::HeadParse parse, base::SteadyTime start) {
  const std::unique_ptr<OwnedRequest> request = take_request(parse);
  Exchange exchange(*this, request->head, start);
  co_await handler_.answer(exchange);
  handler_.finished(exchange);
  if (!exchange.keep_alive()) co_return false;
  if (request->head.has_body()) {
    if (request->head.expect_continue && !exchange.continued_) co_return false;
    std::size_t drained = 0;
    constexpr std::size_t kPiece = 4096;
    const auto rest = std::make_unique_for_overwrite<char[]>(kPiece);  // not a part of every frame
    for (;;) {
      const base::Result<std::size_t> got = co_await exchange.read_body({rest.get(), kPiece});
      if (!got) co_return false;
      if (*got == 0) break;
      drained += *got;
      if (drained > kDrainLimit) co_return false;
    }
  }
  co_return true;
}

bool Connection::receive() {
  std::size_t got = 0;
  const net::IoState state = stream_->try_read(buffers().received, got);
  ended_ = state != net::IoState::Done && state != net::IoState::WouldBlock;
  if (state != net::IoState::Done) return false;
  received_ = std::string_view(buffers().received, got);
  return true;
}

http::HeadParse Connection::parse_received(http::RequestHead& head) {
  const http::HeadParse parse = http::parse_request_head(received_, head);
  if (parse.state == http::HeadParse::State::NeedMore) pending_.assign(received_);
  return parse;
}

Connection::Repeated Connection::try_repeat(base::SteadyTime start, std::string& rest) {
  const std::string_view answer = handler_.repeat(received_, start);
  if (answer.empty()) return Repeated::No;
  net::Outgoing out;
  out.head = answer;
  const net::IoState state = stream_->try_write(out);
  if (state == net::IoState::Done) {
    received_ = {};
    handler_.repeated(peer_, start);
    return Repeated::Sent;
  }
  if (state == net::IoState::Failed || state == net::IoState::Closed) fail_to_write(out);
  rest = out.head;
  return Repeated::Partly;
}

net::Task<bool> Connection::finish_repeating(base::SteadyTime start, std::string rest) {
  // What the log needs of the request outlives the wait.
  const std::unique_ptr<OwnedRequest> request =
      take_request(http::parse_request_head(received_, buffers().head));
  Exchange exchange(*this, request->head, start);
  handler_.partly_repeated(exchange);
  exchange.first_sent_ = now();
  net::Outgoing out;
  out.head = rest;
  const bool sent = co_await write(std::move(out));
  if (!sent) take_back_unsent(exchange.outcome);
  handler_.finished(exchange);
  co_return sent;
}

net::Task<http::HeadParse> Connection::read_head(http::RequestHead& head) {
  if (ended_) co_return http::HeadParse{};
  base::SteadyTime deadline =
      now() + (pending_.empty() ? rules_.timeouts.idle : rules_.timeouts.header);
  http::HeadParse parse;
  if (!pending_.empty()) {
    received_ = pending_;
    parse = http::parse_request_head(received_, head);
    if (parse.state != http::HeadParse::State::NeedMore) co_return parse;
  }
  // TLS may hold bytes that came with the handshake, and a full buffer says that more is waiting.
  bool wait_first = stream_->is_drained() && !fresh_;
  fresh_ = false;
  for (;;) {
    if (wait_first) {
      idle_ = pending_.empty();
      idle_since_ = net::Loop::current().now();
      if (idle_ && draining_ && !first_) co_return parse;
      if (pending_.empty() && pending_.capacity() > 64) pending_.shrink_to_fit();
      const bool ready = co_await stream_->socket().readable(deadline);
      idle_ = false;
      if (!ready) {
        const bool is_late = net::Loop::current().now() >= deadline;  // else cancelled
        if (is_late && !pending_.empty()) {
          rules_.counts->slow_heads.fetch_add(1, std::memory_order_relaxed);
        }
        co_return parse;
      }
    }
    wait_first = true;
    std::size_t got = 0;
    const net::IoState state = stream_->try_read(buffers().received, got);
    if (state == net::IoState::WouldBlock) continue;
    if (state != net::IoState::Done) {
      parse.state = http::HeadParse::State::NeedMore;
      co_return parse;
    }
    if (pending_.empty()) {
      received_ = std::string_view(buffers().received, got);
      deadline = now() + rules_.timeouts.header;
    } else {
      pending_.append(buffers().received, got);
      received_ = pending_;
    }
    parse = http::parse_request_head(received_, head);
    if (parse.state != http::HeadParse::State::NeedMore) co_return parse;
    if (pending_.empty()) pending_.assign(received_);
    // More may be waiting already.
    wait_first = stream_->is_drained();
  }
}

net::Task<void> Connection::refuse(http::HeadParse parse) {
  handler_.refused(peer_, parse.status, parse.reason);
  const std::string head = "HTTP/1.1 " + std::to_string(parse.status) + " " +
                           std::string(http::reason_phrase(parse.status)) +
                           "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
                           std::to_string(parse.reason.size() + 1) +
                           "\r\nConnection: close\r\n\r\n" + std::string(parse.reason) + "\n";
  net::Outgoing out;
  out.head = head;
  co_await write(std::move(out));
  co_await linger();
}

// Lets the client read our last bytes: closing a socket with unread input would reset the
// connection.
net::Task<void> Connection::linger() {
  if (broken_) co_return;
  stream_->finish();
  const base::SteadyTime deadline = now() + std::chrono::seconds(2);
  std::size_t total = 0;
  std::size_t got = 0;
  while (total < kReadSize * 4) {
    const net::IoState state = stream_->try_read(buffers().received, got);
    if (state == net::IoState::Done) {
      total += got;
    } else if (state != net::IoState::WouldBlock ||
               !co_await stream_->socket().readable(deadline)) {
      co_return;
    }
  }
}

void Connection::make_room() {
  idle_ = false;  // it is not found a second time
  draining_ = true;
  makes_room_ = true;
  abort();
}

void Connection::drain() {
  draining_ = true;
  if (idle_ && !first_) abort();
}

}  // namespace larder::server
