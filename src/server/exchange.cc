#include "server/exchange.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "http/date.h"
#include "server/connection.h"
#include "server/request_body.h"

namespace larder::server {

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
  if (first_sent_ == base::SteadyTime{}) first_sent_ = std::chrono::steady_clock::now();
  const bool sent = co_await connection_.writer_.write(std::move(out));
  outcome.bytes += sent ? size : size - std::min(size, connection_.writer_.unsent());
  if (!sent) {
    outcome.ending = connection_.writer_.ending();
    keep_alive_ = false;
  }
  co_return sent;
}

void Exchange::try_send_interim(std::string_view head) {
  if (first_sent_ != base::SteadyTime{} || head_->version_minor == 0 ||
      connection_.writer_.is_paced()) {
    return;
  }
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
  connection_.writer_.fail(out);
  outcome.ending = connection_.writer_.ending();
  keep_alive_ = false;
  connection_.abort();
}

net::Task<base::Result<std::size_t>> Exchange::read_body(std::span<char> into) {
  if (!body_) {
    body_ = std::make_unique<RequestBody>(*head_, *connection_.stream_, connection_.writer_,
                                          connection_.pending_, connection_.rules_);
  }
  base::Result<std::size_t> got = co_await body_->read(into);
  if (!got) keep_alive_ = false;
  co_return got;
}

void Exchange::end_body_by_closing() {
  close_connection();
  body_ends_by_closing_ = true;
  connection_.stream_->socket().reset_when_closed(true);
}

bool Exchange::awaits_continue() const {
  return body_ ? body_->is_held_back() : head_->expect_continue;
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

}  // namespace larder::server
