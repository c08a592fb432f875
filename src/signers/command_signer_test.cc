#include "signers/command_signer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "base/testing.h"

namespace larder::signers {
namespace {

using base::ErrorCode;
using std::chrono::milliseconds;

class CommandSignerTest : public base::FolderTest {
 protected:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }
  base::Result<std::string> run(const std::string& script, std::string_view input = "request",
                                milliseconds timeout = milliseconds(20'000)) {
    return make(script, timeout).sign(input);
  }
  CommandSigner make(const std::string& script, milliseconds timeout) {
    EXPECT_TRUE(base::write_file_atomically(path("sign"), "#!/bin/sh\n" + script, 0700));
    CommandSettings settings;
    settings.command = {path("sign"), "first argument"};
    settings.timeout = timeout;
    return {settings, [this] { return ending_.load(); }};
  }
  std::atomic<bool> ending_{false};
};

TEST_F(CommandSignerTest, GivesTheRequestAndTakesTheAnswer) {
  const auto answer = run("printf '%s|' \"$1\"; cat");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, "first argument|request");
}

TEST_F(CommandSignerTest, LongRequestsAndAnswersDoNotBlockEachOther) {
  const std::string long_request(60'000, 'r');
  EXPECT_EQ(run("cat", long_request).value(), long_request);
}

TEST_F(CommandSignerTest, ProgramThatDoesNotReadItsInputMayAnswer) {
  EXPECT_EQ(run("printf chain", std::string(200'000, 'r')).value(), "chain");
}

TEST_F(CommandSignerTest, NothingOfOursIsInItsEnvironmentOrOpen) {
  ::setenv("LARDER_SECRET", "leaked", 1);
  const int open = ::dup(1);  // inherited by whoever is not careful
  const auto answer = run("env; ls /proc/self/fd | wc -l; pwd");
  ::close(open);
  ::unsetenv("LARDER_SECRET");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->find("leaked"), std::string::npos) << *answer;
  EXPECT_NE(answer->find("LARDER_SIGNER_TIMEOUT=20"), std::string::npos) << *answer;
  EXPECT_NE(answer->find("\n4\n/\n"), std::string::npos)
      << "0, 1, 2 and the listing's own: " << *answer;
}

TEST_F(CommandSignerTest, ExitCodesAreUnderstood) {
  EXPECT_EQ(run("echo waits for approval >&2; exit 75").error().message,
            "not signed yet (exit code 75): waits for approval");
  EXPECT_EQ(run("exit 75").error().code, ErrorCode::Unavailable);
  EXPECT_EQ(run("exit 77").error().code, ErrorCode::PermissionDenied);
  EXPECT_EQ(run("echo first >&2; echo second >&2; exit 3").error().message,
            "the program ended with exit code 3: first; second");
  EXPECT_EQ(run("kill -TERM $$").error().message, "the program was ended by signal 15");
  EXPECT_EQ(run("exit 0").error().message, "the program printed no certificate");
}

TEST_F(CommandSignerTest, ProgramThatIsNotThereIsNamedAsTheReason) {
  CommandSettings settings;
  settings.command = {path("absent")};
  const auto answer = CommandSigner(settings, [] { return false; }).sign("request");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message,
            "the program cannot be run (exit code 127): No such file or directory");
}

TEST_F(CommandSignerTest, UnknownUserIsRefused) {
  CommandSettings settings;
  settings.command = {"/bin/true"};
  settings.user = "nobody-of-that-name";
  EXPECT_EQ(CommandSigner(settings, [] { return false; }).sign("").error().code,
            ErrorCode::FailedPrecondition);
}

TEST_F(CommandSignerTest, RunsAsItsUserWhenThisProcessIsRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  CommandSettings settings;
  settings.command = {"/usr/bin/id"};
  settings.user = "nobody";
  const auto answer = CommandSigner(settings, [] { return false; }).sign("");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_NE(answer->find("(nobody)"), std::string::npos) << *answer;
  EXPECT_EQ(answer->find("(root)"), std::string::npos) << *answer;
}

TEST_F(CommandSignerTest, NothingRunsWhenItsUserCannotBeAssumed) {
  constexpr uid_t kNobody = 65534;
  const bool is_root = ::geteuid() == 0;
  CommandSettings settings;
  settings.command = {"/usr/bin/id"};
  settings.user = "root";
  if (is_root) ASSERT_EQ(::seteuid(kNobody), 0);
  const auto answer = CommandSigner(settings, [] { return false; }).sign("");
  if (is_root) ASSERT_EQ(::seteuid(0), 0);
  ASSERT_FALSE(answer) << *answer;
  EXPECT_EQ(answer.error().code, ErrorCode::FailedPrecondition);
  EXPECT_NE(answer.error().message.find("run as root, or leave `user` out"), std::string::npos)
      << answer.error().message;
}

TEST_F(CommandSignerTest, TooMuchOutputEndsIt) {
  EXPECT_EQ(run("yes").error().code, ErrorCode::ResourceExhausted);
}

TEST_F(CommandSignerTest, TooLongEndsItWithAllThatItStarted) {
  const auto answer =
      run("sleep 1000 & echo $! > " + path("child") + "; wait", "", milliseconds(300));
  EXPECT_EQ(answer.error().code, ErrorCode::DeadlineExceeded);
  const int child = std::stoi(content_of("child"));
  while (::kill(child, 0) == 0) {  // until init has taken it
    const std::string state =
        base::read_file("/proc/" + std::to_string(child) + "/stat", 4096).value_or("0 (gone) Z");
    if (state.find(") Z") != std::string::npos) break;
    std::this_thread::yield();
  }
}

TEST_F(CommandSignerTest, EndsWhenTheNodeDoes) {
  CommandSigner signer = make("exec sleep 1000", milliseconds(600'000));
  std::thread stopper([this] { ending_ = true; });
  EXPECT_EQ(signer.sign("").error().message, "the node is stopping");
  stopper.join();
}

TEST(PrintableErrors, AreOneBoundedLineWithoutControlsAndKeys) {
  EXPECT_EQ(printable_errors("a\x1b[31m\n\nb\n"), "a?[31m; b");
  EXPECT_EQ(printable_errors("-----BEGIN EC PRIVATE KEY-----\nabc"),
            "(what the program wrote holds a private key and is not shown)");
  EXPECT_LE(printable_errors(std::string(100'000, 'x')).size(), kCommandErrorsLimit);
}

}  // namespace
}  // namespace larder::signers
