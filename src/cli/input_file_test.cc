#include "cli/input_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "base/testing.h"
#include "base/unique_fd.h"

namespace larder::cli {
namespace {

using base::ErrorCode;

// What is to come comes in this time on any machine; what is not to come is not waited for long.
constexpr PipePatience kEndless{.beginning = std::chrono::minutes(5),
                                .whole = std::chrono::minutes(5)};
constexpr PipePatience kNone{.beginning = std::chrono::milliseconds(1),
                             .whole = std::chrono::milliseconds(1)};

class Input : public base::FolderTest {
 protected:
  std::string make_pipe() const {
    EXPECT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
    return path("pipe");
  }
  void expect_refused(const std::string& file, ErrorCode code, const std::string& words) const {
    const auto read = read_input(file, 100, kNone);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, code);
    EXPECT_NE(read.error().message.find(words), std::string::npos) << read.error().message;
  }
};

TEST_F(Input, OfAFileIsItsContentUpToTheLimit) {
  ASSERT_TRUE(base::write_file_atomically(path("file"), std::string(100, 'x'), 0600));
  EXPECT_EQ(read_input(path("file"), 100).value(), std::string(100, 'x'));
  EXPECT_EQ(read_input(path("file"), 99).error().code, ErrorCode::ResourceExhausted);
  EXPECT_EQ(read_input(path("none"), 99).error().code, ErrorCode::NotFound);
}

TEST_F(Input, FromFoldersAndDevicesIsRefused) {
  expect_refused(folder_, ErrorCode::InvalidArgument, "is a folder; give a file, or -");
  expect_refused("/dev/zero", ErrorCode::InvalidArgument, "is a device, not a file");
}

TEST_F(Input, FromAPipeWithoutAWriterDoesNotHang) {
  expect_refused(make_pipe(), ErrorCode::DeadlineExceeded, "is a pipe that nobody writes to");
}

TEST_F(Input, FromAPipeWhoseWriterNeverEndsDoesNotHang) {
  const std::string pipe = make_pipe();
  const base::UniqueFd writer(::open(pipe.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(writer);
  ASSERT_EQ(::write(writer.get(), "begun", 5), 5);
  expect_refused(pipe, ErrorCode::DeadlineExceeded, "whose writer does not come to an end");
}

TEST_F(Input, FromAPipeIsWhatItsWriterWrites) {
  const std::string pipe = make_pipe();
  for (const std::string& content : {std::string("in two parts"), std::string()}) {
    // Opening waits for the reader, as a shell's `command > pipe` does.
    std::jthread writer([&] {
      const base::UniqueFd fd(::open(pipe.c_str(), O_WRONLY | O_CLOEXEC));
      const std::size_t half = content.size() / 2;
      EXPECT_TRUE(base::write_all(fd.get(), content.substr(0, half)));
      EXPECT_TRUE(base::write_all(fd.get(), content.substr(half)));
    });
    EXPECT_EQ(read_input(pipe, 100, kEndless).value(), content);
  }
}

TEST_F(Input, FromAPipeWhoseWriterIsGoneIsWhatItLeft) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const base::UniqueFd reading(ends[0]);
  base::UniqueFd writing(ends[1]);
  ASSERT_TRUE(base::write_all(writing.get(), "left"));
  writing.reset();
  EXPECT_EQ(read_input("/dev/fd/" + std::to_string(reading.get()), 100, kEndless).value(), "left");
}

}  // namespace
}  // namespace larder::cli
