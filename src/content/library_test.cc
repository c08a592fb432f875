#include "content/library.h"

#include <gtest/gtest.h>

#include <thread>

#include "content/test_files.h"

namespace larder::content {
namespace {

using base::ErrorCode;

class LibraryTest : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    auto library = Library::open(path("library"));
    ASSERT_TRUE(library) << library.error().message;
    library_ = std::move(*library);
  }

  base::Result<ManifestFile> store(const std::string& bytes, const std::string& name) const {
    auto upload = library_->upload();
    if (!upload) return std::unexpected(upload.error());
    LARDER_TRY(upload->write(base::as_bytes(bytes)));
    return upload->commit(name);
  }
  std::string stored_path(const ManifestFile& file) const {
    return path("library/files/" + file.sha256.substr(0, 2) + "/" + file.sha256);
  }
  std::size_t staged() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(path("library/staging"))) {
      ++count;
    }
    return count;
  }

  std::unique_ptr<Library> library_;
};

TEST_F(LibraryTest, StoresAnUploadUnderItsDigest) {
  const auto bytes = sample_bytes(kPieceSize + 1);
  const auto file = store(bytes, "a.bin");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->sha256, crypto::sha256_hex(bytes));
  EXPECT_EQ(file->pieces, describe(bytes).pieces);
  const auto open = library_->open_file(file->sha256);
  ASSERT_TRUE(open && *open);
  EXPECT_EQ((*open)->size, bytes.size());
  EXPECT_EQ(base::read_file(stored_path(*file), 1 << 24).value(), bytes);
  EXPECT_EQ(staged(), 0U);
}

TEST_F(LibraryTest, StoresTheSameBytesOnce) {
  ASSERT_TRUE(store("same", "one"));
  const auto second = store("same", "two");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->name, "two");
  EXPECT_EQ(staged(), 0U);
}

TEST_F(LibraryTest, ShowsNothingBeforeCommit) {
  const auto file = describe("half");
  {
    auto upload = library_->upload();
    ASSERT_TRUE(upload);
    ASSERT_TRUE(upload->write(base::as_bytes("half")));
    EXPECT_FALSE(library_->contains(file));
    EXPECT_FALSE(library_->open_file(file.sha256).value());
    EXPECT_EQ(staged(), 1U);
  }
  EXPECT_EQ(staged(), 0U);
  EXPECT_FALSE(library_->upload()->commit("../escape"));
}

TEST_F(LibraryTest, AssemblesWhatIsMissing) {
  const auto bytes = sample_bytes(2 * kPieceSize);
  Manifest manifest;
  manifest.files = {describe(bytes, "one"), describe(bytes, "two"), describe("x", "three")};
  ASSERT_TRUE(store("x", "three"));
  const auto missing = library_->missing(manifest);
  ASSERT_EQ(missing.size(), 1U);
  {
    auto part = library_->assemble(missing[0]);
    ASSERT_TRUE(part);
    ASSERT_TRUE(part->append(base::as_bytes(bytes).first(kPieceSize)));
    EXPECT_FALSE(library_->store(std::move(*part)));
  }
  EXPECT_FALSE(library_->contains(missing[0]));
  auto part = library_->assemble(missing[0]);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->verified(), kPieceSize);
  ASSERT_TRUE(part->append(base::as_bytes(bytes).subspan(kPieceSize)));
  ASSERT_TRUE(library_->store(std::move(*part)));
  EXPECT_TRUE(library_->missing(manifest).empty());
}

TEST_F(LibraryTest, RemovesAFileThatChangedOnDisk) {
  const auto file = store("content", "a");
  ASSERT_TRUE(file);
  EXPECT_TRUE(library_->verify(file->sha256));
  ASSERT_TRUE(base::write_file_atomically(stored_path(*file), "CONTENT", 0640));
  EXPECT_EQ(library_->verify(file->sha256).error().code, ErrorCode::DataLoss);
  EXPECT_FALSE(library_->contains(*file));
  EXPECT_EQ(library_->verify(file->sha256).error().code, ErrorCode::NotFound);
}

TEST_F(LibraryTest, OpensNothingOutsideItself) {
  ASSERT_TRUE(base::write_file_atomically(path("secret"), "secret", 0600));
  for (const auto* name : {"", "../../secret", "..", "AB"}) {
    const auto open = library_->open_file(name);
    ASSERT_TRUE(open) << name;
    EXPECT_FALSE(*open) << name;
    EXPECT_TRUE(library_->remove(name)) << name;
  }
  EXPECT_TRUE(std::filesystem::exists(path("secret")));
}

TEST_F(LibraryTest, BelongsToOneProcessAndClearsAbandonedUploads) {
  EXPECT_FALSE(Library::open(path("library")));
  library_.reset();
  ASSERT_TRUE(base::write_file_atomically(path("library/staging/upload-x"), "half", 0600));
  ASSERT_TRUE(base::write_file_atomically(path("library/staging/y.part"), "half", 0600));
  ASSERT_TRUE(Library::open(path("library")));
  EXPECT_EQ(staged(), 1U);
}

TEST_F(LibraryTest, ImportsAFileByItsPath) {
  const auto bytes = sample_bytes(700'000);
  ASSERT_TRUE(base::write_file_atomically(path("source"), bytes, 0600));
  const auto file = library_->import_file(path("source"), "named");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->sha256, describe(bytes).sha256);
  EXPECT_TRUE(library_->contains(*file));
  EXPECT_EQ(library_->import_file(path("absent"), "x").error().code, ErrorCode::NotFound);
}

TEST_F(LibraryTest, ManyThreadsMayStoreTheSameFile) {
  const auto bytes = sample_bytes(200'000);
  std::vector<std::thread> threads;
  std::atomic<int> stored{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { stored += store(bytes, "a") ? 1 : 0; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(stored, 4);
  EXPECT_TRUE(library_->verify(describe(bytes).sha256));
}

}  // namespace
}  // namespace larder::content
