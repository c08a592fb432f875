#include "server/request_body.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "server/thread_buffers.h"

namespace larder::server {

RequestBody::RequestBody(const http::RequestHead& head, net::Stream& stream, AnswerWriter& writer,
                         std::string& pending, const ConnectionRules& rules)
    : stream_(stream),
      writer_(writer),
      pending_(pending),
      rules_(rules),
      expects_continue_(head.expect_continue),
      remaining_(head.content_length.value_or(0)),
      since_(std::chrono::steady_clock::now()) {
  if (head.chunked) chunked_.emplace();
}

net::Task<base::Result<std::size_t>> RequestBody::read(std::span<char> into) {
  for (;;) {
    if (const std::size_t count = take(into); count > 0) co_return count;
    if (failed_) co_return base::fail(base::ErrorCode::InvalidArgument, "broken request body");
    if (is_over()) co_return std::size_t{0};
    if (expects_continue_ && !std::exchange(continued_, true)) {
      net::Outgoing out;
      out.head = "HTTP/1.1 100 Continue\r\n\r\n";
      if (!co_await writer_.write(std::move(out))) {
        co_return base::fail(base::ErrorCode::Unavailable, "the client left");
      }
    }
    bool stalled = false;
    std::size_t got = 0;
    const net::IoState state = stream_.try_read(thread_buffers().received, got);
    if (state == net::IoState::Done) {
      pending_.append(thread_buffers().received, got);
      stalled = is_slow_after(got);
    } else if (state != net::IoState::WouldBlock) {
      co_return base::fail(base::ErrorCode::Unavailable,
                           "the client left within the request's body");
    } else {
      const base::SteadyTime deadline = std::chrono::steady_clock::now() + rules_.timeouts.stall;
      const bool ready = co_await stream_.socket().readable(deadline);
      stalled = !ready && net::Loop::current().now() >= deadline;
      if (!ready && !stalled) {
        co_return base::fail(base::ErrorCode::Unavailable, "the server stops");
      }
    }
    if (stalled) {
      rules_.counts->slow_bodies.fetch_add(1, std::memory_order_relaxed);
      co_return base::fail(base::ErrorCode::DeadlineExceeded, "the request's body stalled");
    }
  }
}

std::size_t RequestBody::take(std::span<char> into) {
  if (!chunked_) {
    const std::size_t count = std::min<std::uint64_t>({into.size(), pending_.size(), remaining_});
    std::memcpy(into.data(), pending_.data(), count);
    pending_.erase(0, count);
    remaining_ -= count;
    return count;
  }
  while (!pending_.empty() && !failed_ && !done_) {
    const http::ChunkedDecoder::Step step =
        chunked_->next(std::string_view(pending_).substr(0, into.size()));
    using State = http::ChunkedDecoder::Step::State;
    if (step.state == State::Data) std::memcpy(into.data(), step.data.data(), step.data.size());
    pending_.erase(0, step.consumed);
    failed_ = step.state == State::Bad;
    done_ = step.state == State::End;
    if (!step.data.empty()) return step.data.size();
  }
  return 0;
}

bool RequestBody::is_slow_after(std::size_t received) {
  received_ += received;
  const base::SteadyTime now = net::Loop::current().now();
  if (now - since_ < rules_.timeouts.stall) return false;
  since_ = now;
  return rules_.is_too_slow(std::exchange(received_, 0));
}

}  // namespace larder::server
