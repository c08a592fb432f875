#include "server/answer_writer.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace larder::server {

namespace {

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
    return taken > 0 && !rules_.is_too_slow(taken);
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

bool AnswerWriter::fail(const net::Outgoing& rest) {
  // What fails later fails because of the first.
  if (!std::exchange(broken_, true)) client_left_ = client_left_ || stream_.socket().is_hung_up();
  unsent_ = rest.size() + stream_.unsent();
  return false;
}

void AnswerWriter::take_back_unsent(Outcome& outcome) const {
  outcome.ending = ending();
  outcome.bytes -= std::min(outcome.bytes, unsent_);
  outcome.body_from_store -= std::min(outcome.body_from_store, unsent_);
}

net::Task<bool> AnswerWriter::write_at_once(net::Outgoing out) {
  if (broken_) co_return fail(out);
  net::Socket& socket = stream_.socket();
  Progress progress(rules_);
  for (;;) {
    switch (stream_.try_write(out)) {
      case net::IoState::Done:
        co_return true;
      case net::IoState::WouldBlock:
        break;
      case net::IoState::Yield:
        co_await net::yield();
        continue;
      case net::IoState::Closed:
      case net::IoState::Failed:
        co_return fail(out);
    }
    if (!progress.has_begun()) progress.begin(stream_, out, std::chrono::steady_clock::now());
    const bool ready = co_await socket.writable(progress.end());
    if (net::Loop::current().now() < progress.end()) {
      if (ready) continue;
    } else if (progress.is_enough(stream_, out, std::chrono::steady_clock::now())) {
      continue;
    } else {
      rules_.counts->slow_readers.fetch_add(1, std::memory_order_relaxed);
      client_left_ = true;
    }
    // Too slow, or cancelled. What the kernel still holds for such a client goes with the
    // connection.
    socket.reset_when_closed(true);
    co_return fail(out);
  }
}

net::Task<bool> AnswerWriter::write_paced(net::Outgoing out) {
  while (rules_.egress != nullptr && !out.empty()) {
    const std::uint64_t granted = co_await rules_.egress->turn(*egress_, share_, out.size());
    if (!co_await write_at_once(take_front(out, granted))) {
      unsent_ += out.size();
      co_return false;
    }
  }
  co_return co_await write_at_once(std::move(out));  // the limit is gone
}

}  // namespace larder::server
