#include "server/connection.h"

#include <algorithm>
#include <utility>

#include "http/head_writer.h"
#include "server/thread_buffers.h"

namespace larder::server {

namespace {

// Bytes of an unread request body that are read and thrown away to keep the connection.
constexpr std::size_t kDrainLimit = 64 * 1024;
// The same, so that a client whose connection ends gets to read our last bytes.
constexpr std::size_t kMostUnread = 256 * 1024;
// A connection that was silent for so long gives its buffers back.
constexpr std::chrono::milliseconds kActive{1000};

base::SteadyTime now() {
  return std::chrono::steady_clock::now();
}

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

// What came first, if anything did.
void Connection::take_first(const http::HeadParse& parse) {
  first_ = false;
  const net::ShownIdentity* const shown = stream_->shown();
  if (shown == nullptr || !shown->accepted || parse.state == http::HeadParse::State::NeedMore)
    return;
  // Loops share it, and it is written once.
  if (!shown->accepted->load(std::memory_order_relaxed)) {
    shown->accepted->store(true, std::memory_order_relaxed);
  }
}

void Connection::take_bytes(std::size_t count) {
  if (pending_.empty()) {
    pending_.assign(received_.substr(count));
  } else {
    pending_.erase(0, count);
  }
  received_ = {};
}

net::Task<void> Connection::serve() {
  for (;;) {
    http::RequestHead& head = thread_buffers().head;
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
        const Repeated repeated =
            draining_ || writer_.is_paced() ? Repeated::No : try_repeat(start, rest);
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
      if (first_) take_first(parse);
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
        const net::IoState state =
            writer_.is_paced() ? net::IoState::WouldBlock : stream_->try_write(out);
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
          const bool sent = state == net::IoState::Failed ? writer_.fail(out)
                                                          : co_await writer_.write(std::move(out));
          if (!sent) writer_.take_back_unsent(exchange.outcome);
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
  if (exchange.body_ends_by_closing_) {
    is_cut_ = exchange.outcome.ending != Ending::Complete;
    stream_->socket().reset_when_closed(is_cut_);
  }
  if (!exchange.keep_alive()) co_return false;
  if (request->head.has_body()) {
    if (exchange.awaits_continue()) co_return false;
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
  const net::IoState state = stream_->try_read(thread_buffers().received, got);
  ended_ = state != net::IoState::Done && state != net::IoState::WouldBlock;
  if (state != net::IoState::Done) return false;
  received_ = std::string_view(thread_buffers().received, got);
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
  if (state == net::IoState::Failed || state == net::IoState::Closed) writer_.fail(out);
  rest = out.head;
  return Repeated::Partly;
}

net::Task<bool> Connection::finish_repeating(base::SteadyTime start, std::string rest) {
  // What the log needs of the request outlives the wait.
  const std::unique_ptr<OwnedRequest> request =
      take_request(http::parse_request_head(received_, thread_buffers().head));
  Exchange exchange(*this, request->head, start);
  handler_.partly_repeated(exchange);
  exchange.first_sent_ = now();
  net::Outgoing out;
  out.head = rest;
  const bool sent = co_await writer_.write(std::move(out));
  if (!sent) writer_.take_back_unsent(exchange.outcome);
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
    const net::IoState state = stream_->try_read(thread_buffers().received, got);
    if (state == net::IoState::WouldBlock) continue;
    if (state != net::IoState::Done) {
      ended_silently_ = first_ && pending_.empty();
      parse.state = http::HeadParse::State::NeedMore;
      co_return parse;
    }
    if (pending_.empty()) {
      received_ = std::string_view(thread_buffers().received, got);
      deadline = now() + rules_.timeouts.header;
    } else {
      pending_.append(thread_buffers().received, got);
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
  const base::SteadyTime start = now();
  const std::string head = "HTTP/1.1 " + std::to_string(parse.status) + " " +
                           std::string(http::reason_phrase(parse.status)) +
                           "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
                           std::to_string(parse.reason.size() + 1) +
                           "\r\nConnection: close\r\n\r\n" + std::string(parse.reason) + "\n";
  net::Outgoing out;
  out.head = head;
  Outcome outcome;
  outcome.status = parse.status;
  outcome.cache = "refused";
  outcome.reason = parse.reason;
  outcome.bytes = head.size();
  if (!co_await writer_.write(std::move(out))) writer_.take_back_unsent(outcome);
  handler_.refused(peer_, outcome, start);
  co_await linger();
}

// Lets the client read our last bytes: closing a socket with unread input would reset the
// connection.
net::Task<void> Connection::linger() {
  if (writer_.is_broken() || is_cut_) co_return;
  stream_->finish();
  const base::SteadyTime deadline = now() + std::chrono::seconds(2);
  std::size_t total = 0;
  std::size_t got = 0;
  while (total < kMostUnread) {
    const net::IoState state = stream_->try_read(thread_buffers().received, got);
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
