#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/encoding.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "base/testing.h"

namespace larder::base {
namespace {

TEST(Errno, AShortageOfTheProcessIsNotAFullDisk) {
  for (const int full : {ENOSPC, EDQUOT}) {
    EXPECT_EQ(fail_errno("x", full).error().code, ErrorCode::ResourceExhausted) << full;
  }
  for (const int passing : {EMFILE, ENFILE, ENOMEM}) {
    EXPECT_EQ(fail_errno("x", passing).error().code, ErrorCode::Unavailable) << passing;
  }
}

TEST(Base64Url, RoundTripsEveryLength) {
  std::string bytes;
  for (int length = 0; length < 40; ++length) {
    const auto back = from_base64url(to_base64url(as_bytes(bytes)));
    ASSERT_TRUE(back) << length;
    EXPECT_EQ(*back, bytes);
    bytes.push_back(static_cast<char>(length * 37));
  }
}

TEST(Base64Url, RefusesASecondTextForTheSameValue) {
  EXPECT_TRUE(from_base64url("QQ"));
  EXPECT_FALSE(from_base64url("QR")) << "non-zero trailing bits";
  EXPECT_FALSE(from_base64url("QQ==")) << "padding";
  EXPECT_FALSE(from_base64url("A")) << "cut";
  EXPECT_FALSE(from_base64url("Q+")) << "other alphabet";
}

TEST(ByteCount, ReadsUnitsAndRefusesOverflow) {
  EXPECT_EQ(parse_byte_count("100GB").value(), 100'000'000'000ULL);
  EXPECT_EQ(parse_byte_count("64 KiB").value(), 65536ULL);
  EXPECT_EQ(parse_byte_count("7").value(), 7ULL);
  EXPECT_FALSE(parse_byte_count(""));
  EXPECT_FALSE(parse_byte_count("1.5GB"));
  EXPECT_FALSE(parse_byte_count("-1"));
  EXPECT_FALSE(parse_byte_count("99999999999999TiB"));
}

TEST(Time, Rfc3339RoundTripsAndRefusesImpossibleDates) {
  const auto time = parse_rfc3339("2026-02-28T23:59:59Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(to_rfc3339(*time), "2026-02-28T23:59:59Z");
  EXPECT_FALSE(parse_rfc3339("2026-02-30T00:00:00Z"));
  EXPECT_FALSE(parse_rfc3339("2026-02-28 00:00:00Z"));
  EXPECT_FALSE(parse_rfc3339("2026-02-28T00:00:00"));
}

TEST(Time, Rfc3339WithMicrosecondsRoundTripsAndFractionsAreRead) {
  const WallTime time = from_unix_seconds(1'800'000'000) + std::chrono::microseconds(250);
  EXPECT_EQ(to_rfc3339_exact(time), "2027-01-15T08:00:00.000250Z");
  EXPECT_EQ(parse_rfc3339(to_rfc3339_exact(time)).value(), time);
  const WallTime before_1970 = from_unix_seconds(-1) + std::chrono::microseconds(999'999);
  EXPECT_EQ(parse_rfc3339(to_rfc3339_exact(before_1970)).value(), before_1970);
  EXPECT_EQ(parse_rfc3339("2027-01-15T08:00:00.5Z").value(),
            from_unix_seconds(1'800'000'000) + std::chrono::milliseconds(500));
  for (const char* text :
       {"2027-01-15T08:00:00.Z", "2027-01-15T08:00:00.1234567Z", "2027-01-15T08:00:00.-5Z",
        "2027-01-15T08:00:005Z", "2027-01-15T08:00:00.5", "Z", ""}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

TEST(Json, RefusesDuplicateNamesDepthAndTrailingText) {
  EXPECT_TRUE(parse_json(R"({"a":[1,{"b":"c"}],"d":null})"));
  EXPECT_FALSE(parse_json(R"({"a":1,"a":2})"));
  EXPECT_FALSE(parse_json(R"({"x":{"a":1,"a":2}})"));
  EXPECT_FALSE(parse_json("[[[[[[[[[]]]]]]]]]"));
  EXPECT_FALSE(parse_json("{} x"));
  EXPECT_FALSE(parse_json(""));
  EXPECT_FALSE(parse_json("\"\xff\""));
}

TEST(Json, BuildsTheSameValueAsTheLibrary) {
  const char* text = R"({"a":[1,-2,3.5,true,false,null,"x"],"b":{"c":{"d":[]}}})";
  EXPECT_EQ(parse_json(text).value(), nlohmann::json::parse(text));
}

TEST(File, AtomicWriteReplacesContentAndKeepsTheMode) {
  const TemporaryFolder folder;
  const std::string path = folder.path("secret");
  ASSERT_TRUE(write_file_atomically(path, "one", 0600));
  ASSERT_TRUE(write_file_atomically(path, "two", 0600));
  EXPECT_EQ(read_file(path, 100).value(), "two");
  struct stat facts{};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  EXPECT_FALSE(read_file(path, 2)) << "over the limit";
  EXPECT_FALSE(read_file(path + "x", 100));
}

TEST(File, WhatCannotTakeItsPlaceLeavesWhatIsThere) {
  const TemporaryFolder folder;
  const std::string target = folder.path("kept");
  std::filesystem::create_directory(target);
  const Status written = write_file_atomically(target, "new", 0600);
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("cannot rename"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_directory(target));
  const std::filesystem::path left = std::filesystem::path(target).parent_path();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(left), {}), 1)
      << "nothing temporary stays";
}

TEST(File, ASecondLockIsRefusedWithItsName) {
  const TemporaryFolder folder;
  const std::string path = folder.path("lock");
  const auto first = lock_file(path, "the state folder");
  ASSERT_TRUE(first);
  const auto second = lock_file(path, "the state folder");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::FailedPrecondition);
  EXPECT_NE(second.error().message.find("the state folder"), std::string::npos);
}

TEST(Uuid, IsVersionSevenAndSortsByTime) {
  const std::string early = make_uuid(from_unix_seconds(1'000));
  const std::string late = make_uuid(from_unix_seconds(2'000));
  EXPECT_EQ(early.size(), 36U);
  EXPECT_EQ(early[14], '7');
  EXPECT_LT(early, late);
}

}  // namespace
}  // namespace larder::base
