#include "cli/output.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/testing.h"
#include "cli/control.h"
#include "cli/get_progress.h"
#include "cli/secret_input.h"

namespace larder::cli {
namespace {

TEST(Table, AlignsColumnsAndShowsAbsentMembers) {
  const nlohmann::json rows = nlohmann::json::parse(
      R"([{"name":"n1","names":["a","b"],"size":5},{"name":"node-two","joined":true}])");
  EXPECT_EQ(format_table({{"NAME", "name"}, {"NAMES", "names"}, {"SIZE", "size"}}, rows),
            "NAME      NAMES  SIZE\n"
            "n1        a,b    5\n"
            "node-two  -      -\n");
}

TEST(Table, SaysWhereACellIsCutAndNeverCutsAnAddress) {
  const std::string url = "http://packages.example.org/" + std::string(200, 'a');
  const nlohmann::json rows = {{{"url", url}, {"text", url}}};
  EXPECT_EQ(format_table({{"URL", "url", true}}, rows), "URL\n" + url + "\n");
  EXPECT_EQ(format_table({{"TEXT", "text"}}, rows), "TEXT\n" + url.substr(0, 97) + "...\n");
}

TEST(Printable, TakesEscapeSequencesOut) {
  EXPECT_EQ(printable("a\x1b[31mb\n"), "a?[31mb?");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "??31m");
  EXPECT_EQ(printable("\xc3\xa4"), "\xc3\xa4");
}

TEST(EncodeSegment, LeavesNoSeparator) {
  EXPECT_EQ(encode_segment("a b/../c?d#e%"), "a%20b%2F..%2Fc%3Fd%23e%25");
}

TEST(Progress, SaysWhatPeopleAskFor) {
  agent::Progress progress;
  progress.file = "tool.msi";
  progress.source = "node1";
  progress.done = 4'200'000;
  progress.total = 10'000'000;
  progress.bytes_per_second = 1'500'000;
  progress.remaining = std::chrono::seconds(4);
  EXPECT_EQ(format_progress(progress),
            "tool.msi  42 %  4.2 MB of 10.0 MB  1.5 MB/s  node1  4 s left");
}

using SecretFile = base::FolderTest;

TEST_F(SecretFile, IsNewAndForItsOwnerOnly) {
  const std::string file = folder_ + "/token";
  ASSERT_TRUE(write_secret(file, "larder-join.x"));
  struct stat info{};
  ASSERT_EQ(stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(read_secret(file, "LARDER_TEST_NO_SUCH").value(), "larder-join.x");
  EXPECT_FALSE(write_secret(file, "again")) << "an existing file may be held open by others";
}

TEST_F(SecretFile, FileWinsOverEnvironment) {
  ASSERT_EQ(setenv("LARDER_TEST_TOKEN", "from-environment", 1), 0);
  ASSERT_TRUE(write_secret(folder_ + "/token", "from-file"));
  EXPECT_EQ(read_secret(folder_ + "/token", "LARDER_TEST_TOKEN").value(), "from-file");
  EXPECT_EQ(read_secret("", "LARDER_TEST_TOKEN").value(), "from-environment");
  ASSERT_TRUE(base::write_file_atomically(folder_ + "/empty", "\n", 0600));
  EXPECT_FALSE(read_secret(folder_ + "/empty", "LARDER_TEST_TOKEN"));
  EXPECT_FALSE(read_secret(folder_ + "/missing", "LARDER_TEST_TOKEN"));
}

TEST_F(SecretFile, MayBeAsWindowsWritesText) {
  const auto secret = [&](const std::string& content) {
    EXPECT_TRUE(base::write_file_atomically(path("secret"), content, 0600));
    return read_secret(path("secret"), "LARDER_TEST_NO_SUCH");
  };
  EXPECT_EQ(secret("\xEF\xBB\xBFp\xC3\xA4ss\r\n").value(), "p\xC3\xA4ss");
  EXPECT_EQ(secret(std::string("\xFF\xFEp\0\xE4\0s\0s\0\r\0\n\0", 14)).value(), "p\xC3\xA4ss");
  EXPECT_EQ(secret(std::string("\xFE\xFF\0p\xD8\x3D\xDE\0", 8)).value(), "p\xF0\x9F\x98\x80");
  for (const std::string& damaged :
       {std::string("\xFF\xFEp", 3), std::string("\xFF\xFE\x3D\xD8", 4),
        std::string("\xFF\xFE\x00\xDE", 4)}) {
    EXPECT_EQ(secret(damaged).error().code, base::ErrorCode::InvalidArgument);
  }
}

}  // namespace
}  // namespace larder::cli
