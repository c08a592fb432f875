#include "signers/socket_signer.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <thread>

#include "base/testing.h"
#include "signers/local_peer.h"
#include "signers/signing_messages.h"
#include "signers/signing_service.h"

namespace larder::signers {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;

std::string own_name() {
  return ::getpwuid(::geteuid())->pw_name;
}

class SocketSignerTest : public base::FolderTest {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    listener_ = base::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path("socket").c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener_.get(), 4), 0);
  }
  void TearDown() override {
    if (service_.joinable()) service_.join();
  }
  // What answers the next connection.
  void serve(std::function<void(int)> answer) {
    service_ = std::thread([this, answer = std::move(answer)] {
      const base::UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      answer(connection.get());
    });
  }
  void serve_script(const std::string& script) {
    ASSERT_TRUE(base::write_file_atomically(path("sign"), "#!/bin/sh\n" + script, 0700));
    serve([this](int connection) {
      answered_ = answer_signing_question(connection, own_name(), {.command = {path("sign")}});
    });
  }
  base::Result<std::string> sign(std::string_view request = "request",
                                 milliseconds timeout = milliseconds(20'000)) {
    return SocketSigner({path("socket"), own_name(), timeout}, [this] { return ending_.load(); })
        .sign(request);
  }

  base::UniqueFd listener_;
  std::thread service_;
  std::atomic<bool> ending_{false};
  base::Status answered_;  // once service_ is joined
};

TEST_F(SocketSignerTest, ProgramBehindTheSocketGetsTheRequestAndTheTime) {
  serve_script("printf '%s ' \"$LARDER_SIGNER_TIMEOUT\"; cat");
  const auto chain = sign(std::string(60'000, 'r'));
  ASSERT_TRUE(chain) << chain.error().message;
  EXPECT_EQ(*chain, "18 " + std::string(60'000, 'r'));
  service_.join();
  EXPECT_TRUE(answered_);
}

TEST_F(SocketSignerTest, FailuresReadAsThoseOfACommand) {
  serve_script("echo waits for approval >&2; exit 75");
  EXPECT_EQ(sign().error().message, "not signed yet (exit code 75): waits for approval");
}

TEST_F(SocketSignerTest, RefusalKeepsItsCode) {
  serve_script("exit 77");
  EXPECT_EQ(sign().error().code, ErrorCode::PermissionDenied);
}

TEST_F(SocketSignerTest, ServiceThatNeverAnswersIsGivenUp) {
  serve([](int connection) {
    while (!has_hung_up(connection)) std::this_thread::yield();
  });
  EXPECT_EQ(sign("request", milliseconds(300)).error().code, ErrorCode::DeadlineExceeded);
}

TEST_F(SocketSignerTest, AnswerWithoutEndIsGivenUp) {
  serve([](int connection) {
    const std::string block(4096, 'x');
    while (::send(connection, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  EXPECT_EQ(sign().error().code, ErrorCode::ResourceExhausted);
}

TEST_F(SocketSignerTest, ConnectionThatEndsWithoutAnAnswerIsExplained) {
  serve([](int) {});
  EXPECT_NE(sign().error().message.find("without an answer"), std::string::npos);
}

TEST_F(SocketSignerTest, NobodyThereIsExplained) {
  listener_.reset();
  EXPECT_NE(sign().error().message.find("is larder-signer.socket started?"), std::string::npos);
}

TEST_F(SocketSignerTest, ProgramIsKilledWhenTheNodeStops) {
  serve_script("echo $$ > " + path("pid") + "; exec sleep 1000");
  std::thread stopper([this] {
    while (content_of("pid").empty() || content_of("pid").find('\n') == std::string::npos) {
      std::this_thread::yield();
    }
    ending_ = true;
  });
  EXPECT_FALSE(sign());
  stopper.join();
  service_.join();
  EXPECT_NE(::kill(std::stoi(content_of("pid")), 0), 0);
}

TEST_F(SocketSignerTest, NothingIsSaidToAListenerThatIsNotExpected) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may always listen";
  serve([](int connection) {
    char byte = 0;
    EXPECT_EQ(::recv(connection, &byte, 1, 0), 0) << "nothing was said";
  });
  const SocketSettings settings{path("socket"), "", milliseconds(20'000)};
  EXPECT_EQ(SocketSigner(settings, [] { return false; }).sign("r").error().code,
            ErrorCode::PermissionDenied);
}

TEST_F(SocketSignerTest, ListenerOfAnotherUserIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  constexpr uid_t kNobody = 65534;
  listener_ = base::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path("other").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::seteuid(kNobody), 0);
  const int listening = ::listen(listener_.get(), 4);
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_EQ(listening, 0);
  serve([](int connection) {
    char byte = 0;
    EXPECT_EQ(::recv(connection, &byte, 1, 0), 0) << "nothing was said";
  });
  const auto refused =
      SocketSigner({path("other"), "", milliseconds(20'000)}, [] { return false; }).sign("request");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("listens user 65534 and not root"), std::string::npos)
      << refused.error().message;
}

TEST_F(SocketSignerTest, StrangerIsToldThatHeMayNotAsk) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  constexpr uid_t kNobody = 65534;
  ASSERT_TRUE(base::write_file_atomically(path("sign"), "#!/bin/sh\ntouch " + path("ran"), 0700));
  serve([this](int connection) {
    answered_ = answer_signing_question(connection, "daemon", {.command = {path("sign")}});
  });
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path("socket").c_str(), 0666), 0);
  ASSERT_EQ(::seteuid(kNobody), 0);
  const auto refused = sign();
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "only daemon and root may ask here, not user 65534");
  EXPECT_EQ(::access(path("ran").c_str(), F_OK), -1);
}

TEST(SigningService, AnswersNobodyButOverAUnixSocket) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const base::UniqueFd read(ends[0]);
  const base::UniqueFd write(ends[1]);
  EXPECT_FALSE(answer_signing_question(read.get(), own_name(), {.command = {"/bin/true"}}));
}

}  // namespace
}  // namespace larder::signers
