#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <numeric>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"

namespace larder::net {
namespace {

// A file behind one end of a TCP connection of this machine; what arrives is read at the other.
class PlainStreamTest : public testing::Test {
 protected:
  static constexpr std::size_t kFirst = 777;
  static constexpr std::size_t kLength = 200'000;

  PlainStreamTest() : bytes_(kFirst + kLength, '\0') {
    std::iota(bytes_.begin(), bytes_.end(), '\0');
    EXPECT_EQ(::write(file_.get(), bytes_.data(), bytes_.size()),
              static_cast<ssize_t>(bytes_.size()));
    const base::UniqueFd listener(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener.get(), any, size), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
    EXPECT_EQ(::getsockname(listener.get(), any, &size), 0);
    EXPECT_EQ(::connect(reader_.get(), any, size), 0);
    writer_.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
  }

  // False when the kernel does not offer it.
  bool set_congestion_control(const std::string& name) {
    return ::setsockopt(writer_.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(),
                        static_cast<socklen_t>(name.size())) == 0;
  }

  struct Sent {
    std::vector<std::uint64_t> rests;  // what was left at each yield
    std::string read;
  };
  Sent send() {
    Loop loop;
    const std::unique_ptr<Stream> stream = make_plain_stream(loop, std::move(writer_));
    Outgoing out;
    out.head = "head";
    out.file = file_.get();
    out.file_offset = kFirst;
    out.file_length = kLength;
    Sent sent;
    std::string piece(1 << 20, '\0');
    for (bool more = true; more;) {
      const IoState state = stream->try_write(out);
      if (state == IoState::Yield) sent.rests.push_back(out.file_length);
      if (state == IoState::Done) stream->finish();
      EXPECT_TRUE(state == IoState::Yield || state == IoState::Done ||
                  state == IoState::WouldBlock);
      // To the end once all is sent, else what is there.
      ssize_t count = 0;
      do {
        count = ::recv(reader_.get(), piece.data(), piece.size(),
                       state == IoState::Done ? 0 : MSG_DONTWAIT);
        if (count > 0) sent.read.append(piece.data(), static_cast<std::size_t>(count));
      } while (count > 0);
      more = state != IoState::Done;
    }
    return sent;
  }

  std::string expected() const { return "head" + bytes_.substr(kFirst); }

  std::string bytes_;
  base::UniqueFd file_{::memfd_create("plain-stream", MFD_CLOEXEC)};
  base::UniqueFd reader_{::socket(AF_INET, SOCK_STREAM, 0)};
  base::UniqueFd writer_;
};

TEST_F(PlainStreamTest, SendsAFileWithoutAPauseWhereNothingIsPaced) {
  ASSERT_TRUE(set_congestion_control("reno"));
  const Sent sent = send();
  EXPECT_EQ(sent.read, expected());
  EXPECT_TRUE(sent.rests.empty());
}

// Linux without BBR has nothing to pace: there it is the same as above.
TEST_F(PlainStreamTest, SendsWholePagesInTurnsWhereSendingIsPaced) {
  const bool is_paced = set_congestion_control("bbr");
  const Sent sent = send();
  EXPECT_EQ(sent.read, expected());
  if (!is_paced) return;
  ASSERT_EQ(sent.rests.size(), 3U);
  for (const std::uint64_t rest : sent.rests) {
    EXPECT_EQ((bytes_.size() - rest) % 4096, 0U);
    EXPECT_LE(kLength - rest, 60U * 1024 * sent.rests.size());
  }
}

}  // namespace
}  // namespace larder::net
