#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>

#include "net/socket_calls.h"
#include "net/stream.h"

namespace larder::net {

namespace {

// Bytes of a file that one connection may send before others get their turn.
constexpr std::uint64_t kTurn = 4 << 20;
// The same where congestion control paces what is sent (BBR): what leaves at once as one piece, in
// whole pages. For each further piece the kernel would set a timer and wake up, which costs more
// than sending it; after the others' turns its time has mostly come.
constexpr std::uint64_t kPacedTurn = 60 << 10;
constexpr std::uint64_t kPage = 4096;
// A head and a body together up to this size leave in one piece.
constexpr std::size_t kJoined = 16 * 1024;

class PlainStream final : public Stream {
 public:
  PlainStream(Loop& loop, base::UniqueFd fd) : Stream(loop, std::move(fd)) {}

  IoState try_read(std::span<char> into, std::size_t& got) override {
    socket_.forget_missed_read();
    for (;;) {
      const ssize_t count = receive_bytes(socket_.fd(), into.data(), into.size());
      if (count > 0) {
        got = static_cast<std::size_t>(count);
        drained_ = got < into.size();
        return IoState::Done;
      }
      if (count == 0) return IoState::Closed;
      if (errno == EINTR) continue;
      drained_ = true;
      return errno == EAGAIN ? IoState::WouldBlock : IoState::Failed;
    }
  }

  IoState try_write(Outgoing& out) override {
    while (!out.head.empty() || !out.memory.empty()) {
      const ssize_t count = send_memory(out, out.file_length > 0 ? MSG_MORE : 0);
      if (count < 0) {
        if (errno == EINTR) continue;
        return errno == EAGAIN ? IoState::WouldBlock : IoState::Failed;
      }
      const auto sent = static_cast<std::size_t>(count);
      const std::size_t from_head = std::min(sent, out.head.size());
      out.head.remove_prefix(from_head);
      out.memory.remove_prefix(sent - from_head);
    }
    std::uint64_t turn = out.file_length > 0 ? next_turn(out) : 0;
    while (out.file_length > 0) {
      if (turn == 0) return IoState::Yield;
      auto offset = static_cast<off_t>(out.file_offset);
      const ssize_t count =
          ::sendfile(socket_.fd(), out.file, &offset, std::min(out.file_length, turn));
      if (count < 0) {
        if (errno == EINTR) continue;
        return errno == EAGAIN ? IoState::WouldBlock : IoState::Failed;
      }
      if (count == 0) return IoState::Failed;  // the file is shorter than promised
      const auto sent = static_cast<std::uint64_t>(count);
      out.file_offset += sent;
      out.file_length -= sent;
      if (out.mapped != nullptr) out.mapped += sent;
      turn -= sent;
    }
    return IoState::Done;
  }

  // Small parts are joined: the copy costs less than the kernel's way through two of them.
  ssize_t send_memory(const Outgoing& out, int flags) {
    thread_local std::array<char, kJoined> joined;
    if (out.memory.empty())
      return send_bytes(socket_.fd(), out.head.data(), out.head.size(), flags);
    if (out.head.size() + out.memory.size() <= joined.size()) {
      char* const end = std::copy(out.head.begin(), out.head.end(), joined.data());
      std::copy(out.memory.begin(), out.memory.end(), end);
      return send_bytes(socket_.fd(), joined.data(), out.head.size() + out.memory.size(), flags);
    }
    iovec parts[2] = {{const_cast<char*>(out.head.data()), out.head.size()},
                      {const_cast<char*>(out.memory.data()), out.memory.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    return ::sendmsg(socket_.fd(), &message, MSG_NOSIGNAL | flags);
  }

  void finish() override { ::shutdown(socket_.fd(), SHUT_WR); }

 private:
  std::uint64_t next_turn(const Outgoing& out) {
    if (!paced_) paced_ = is_paced();
    return *paced_ ? kPacedTurn - out.file_offset % kPage : kTurn;
  }

  bool is_paced() const {
    std::array<char, 16> name{};  // TCP_CA_NAME_MAX
    socklen_t length = name.size();
    return ::getsockopt(socket_.fd(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &length) == 0 &&
           std::string_view(name.data()).starts_with("bbr");
  }

  std::optional<bool> paced_;  // not known before the first file
};

}  // namespace

std::unique_ptr<Stream> make_plain_stream(Loop& loop, base::UniqueFd fd) {
  return std::make_unique<PlainStream>(loop, std::move(fd));
}

Task<bool> Stream::write(Outgoing out, std::chrono::milliseconds stall) {
  for (;;) {
    switch (try_write(out)) {
      case IoState::Done:
        co_return true;
      case IoState::WouldBlock:
        if (!co_await socket_.writable(std::chrono::steady_clock::now() + stall)) co_return false;
        break;
      case IoState::Yield:
        co_await yield();
        break;
      case IoState::Closed:
      case IoState::Failed:
        co_return false;
    }
  }
}

}  // namespace larder::net
