#include "content/piece_file.h"

#include <gtest/gtest.h>

#include "content/test_files.h"

namespace larder::content {
namespace {

using base::ErrorCode;

class PieceFileTest : public FolderTest {
 protected:
  base::Result<PieceFile> open() const { return PieceFile::open(path("part"), file_, 0600); }
  std::span<const std::uint8_t> slice(std::size_t from, std::size_t size) const {
    return base::as_bytes(std::string_view(bytes_).substr(from, size));
  }

  const std::string bytes_ = sample_bytes(3 * kPieceSize + 100);
  const ManifestFile file_ = describe(bytes_);
};

TEST_F(PieceFileTest, AssemblesAndRenames) {
  auto part = open();
  ASSERT_TRUE(part) << part.error().message;
  EXPECT_FALSE(part->commit(path("done")));
  for (std::size_t at = 0; at < bytes_.size(); at += 50'000) {
    ASSERT_TRUE(part->append(slice(at, 50'000)));
  }
  EXPECT_TRUE(part->complete());
  EXPECT_EQ(part->append(slice(0, 1)).error().code, ErrorCode::DataLoss);
  ASSERT_TRUE(part->commit(path("done")));
  EXPECT_EQ(content_of("done"), bytes_);
  EXPECT_FALSE(std::filesystem::exists(path("part")));
}

TEST_F(PieceFileTest, ForgetsAWrongPieceAndKeepsTheRightOnes) {
  auto part = open();
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(slice(0, kPieceSize + 10)));
  EXPECT_EQ(part->verified(), kPieceSize);
  EXPECT_EQ(part->append(slice(0, kPieceSize)).error().code, ErrorCode::DataLoss);
  EXPECT_EQ(part->verified(), kPieceSize);
  ASSERT_TRUE(part->append(slice(kPieceSize, bytes_.size())));
  EXPECT_TRUE(part->commit(path("done")));
  EXPECT_EQ(content_of("done"), bytes_);
}

TEST_F(PieceFileTest, GoesOnWhereAnInterruptedAssemblyStopped) {
  {
    auto part = open();
    ASSERT_TRUE(part);
    ASSERT_TRUE(part->append(slice(0, 2 * kPieceSize + 77)));
  }
  auto part = open();
  ASSERT_TRUE(part);
  EXPECT_EQ(part->verified(), 2 * kPieceSize);
  ASSERT_TRUE(part->append(slice(2 * kPieceSize, bytes_.size())));
  ASSERT_TRUE(part->commit(path("done")));
  EXPECT_EQ(content_of("done"), bytes_);
}

TEST_F(PieceFileTest, DropsWhatChangedOnDisk) {
  auto damaged = bytes_;
  damaged[kPieceSize + 5] ^= 1;
  ASSERT_TRUE(base::write_file_atomically(path("part"), damaged + "more", 0600));
  auto part = open();
  ASSERT_TRUE(part);
  EXPECT_EQ(part->verified(), kPieceSize);
  EXPECT_EQ(std::filesystem::file_size(path("part")), kPieceSize);
}

TEST_F(PieceFileTest, IsHeldByOneAssemblyAtATime) {
  auto part = open();
  ASSERT_TRUE(part);
  EXPECT_EQ(open().error().code, ErrorCode::FailedPrecondition);
}

TEST_F(PieceFileTest, DoesNotFollowALink) {
  ASSERT_TRUE(base::write_file_atomically(path("other"), "precious", 0600));
  std::filesystem::create_symlink(path("other"), path("part"));
  EXPECT_FALSE(open());
  EXPECT_EQ(content_of("other"), "precious");
}

TEST_F(PieceFileTest, RefusesAWholeThatDiffersFromItsPieces) {
  auto lying = file_;
  lying.sha256 = std::string(64, '0');
  auto part = PieceFile::open(path("part"), lying, 0600);
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(base::as_bytes(bytes_)));
  EXPECT_EQ(part->commit(path("done")).error().code, ErrorCode::DataLoss);
  EXPECT_FALSE(std::filesystem::exists(path("done")));
}

}  // namespace
}  // namespace larder::content
