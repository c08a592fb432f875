#include "content/manifest.h"

#include <gtest/gtest.h>

#include "content/test_files.h"

namespace larder::content {
namespace {

using base::ErrorCode;

crypto::PrivateKey make_key() {
  return crypto::PrivateKey::generate(crypto::KeyAlgorithm::EcP256).value();
}

Manifest sample_manifest() {
  Manifest manifest;
  manifest.package = "tool";
  manifest.version = "1.2.3~rc1+x";
  manifest.created_at = base::from_unix_seconds(1'790'000'000);
  manifest.files = {describe(sample_bytes(3 * kPieceSize + 5), "tool.deb"), describe("", "empty")};
  return manifest;
}

TEST(Manifest, RoundTripsThroughItsSignedText) {
  const auto key = make_key();
  const auto manifest = sample_manifest();
  const auto text = sign_manifest(manifest, key);
  ASSERT_TRUE(text) << text.error().message;
  const auto back = verify_manifest(*text, key.public_key());
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->package, "tool");
  EXPECT_EQ(back->version, "1.2.3~rc1+x");
  EXPECT_EQ(back->created_at, manifest.created_at);
  ASSERT_EQ(back->files.size(), 2U);
  EXPECT_EQ(back->files[0].sha256, manifest.files[0].sha256);
  EXPECT_EQ(back->files[0].pieces, manifest.files[0].pieces);
  EXPECT_EQ(back->find("empty")->size, 0U);
  EXPECT_EQ(back->find("absent"), nullptr);
  EXPECT_EQ(back->total_size(), 3 * kPieceSize + 5);
}

TEST(Manifest, RefusesAnotherKeyAndAChangedText) {
  const auto key = make_key();
  auto text = sign_manifest(sample_manifest(), key).value();
  EXPECT_FALSE(verify_manifest(text, make_key().public_key()));
  text[text.size() / 2] = text[text.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(verify_manifest(text, key.public_key()));
  EXPECT_FALSE(verify_manifest("", key.public_key()));
  EXPECT_FALSE(verify_manifest(std::string(kManifestLimit + 1, 'a'), key.public_key()));
}

TEST(Manifest, NamesAreOnePathSegment) {
  for (const auto* name : {"a", "libstdc++6_12.2.0-14_amd64.deb", "_x", "1.0~rc1"}) {
    EXPECT_TRUE(is_safe_name(name)) << name;
  }
  for (const auto* name : {"", ".", "..", ".hidden", "a/b", "a\\b", "a b", "a%2fb", "-rf", "~root",
                           "a\nb", "caf\xc3\xa9", "a@b", "a:b"}) {
    EXPECT_FALSE(is_safe_name(name)) << name;
  }
  EXPECT_TRUE(is_safe_name(std::string(128, 'a')));
  EXPECT_FALSE(is_safe_name(std::string(129, 'a')));
}

TEST(Manifest, RefusesWhatCannotBeRight) {
  const auto refuses = [](auto change) {
    auto manifest = sample_manifest();
    change(manifest);
    return !check(manifest);
  };
  EXPECT_FALSE(refuses([](Manifest&) {}));
  EXPECT_TRUE(refuses([](Manifest& m) { m.package = "../x"; }));
  EXPECT_TRUE(refuses([](Manifest& m) { m.version = ""; }));
  EXPECT_TRUE(refuses([](Manifest& m) { m.files.clear(); }));
  EXPECT_TRUE(refuses([](Manifest& m) { m.files[0].name = ".."; }));
  EXPECT_TRUE(refuses([](Manifest& m) { m.files[1].name = "TOOL.deb"; })) << "differs in case only";
  EXPECT_TRUE(refuses([](Manifest& m) { m.files[0].sha256 = "zz"; }));
  EXPECT_TRUE(refuses([](Manifest& m) { m.files[0].pieces.pop_back(); }));
  EXPECT_TRUE(refuses([](Manifest& m) { m.files[0].size = kFileSizeLimit + 1; }));
  EXPECT_TRUE(refuses([](Manifest& m) {
    for (int i = 0; i < 1001; ++i) m.files.push_back(describe("", "f" + std::to_string(i)));
  }));
}

TEST(Manifest, PiecesCoverTheFileExactly) {
  EXPECT_EQ(piece_count(0), 0U);
  EXPECT_EQ(piece_count(1), 1U);
  EXPECT_EQ(piece_count(kPieceSize), 1U);
  EXPECT_EQ(piece_count(kPieceSize + 1), 2U);
  EXPECT_EQ(piece_size(kPieceSize + 7, 0), kPieceSize);
  EXPECT_EQ(piece_size(kPieceSize + 7, 1), 7U);
}

TEST(PieceDigests, DoNotDependOnHowTheBytesArrive) {
  const auto bytes = sample_bytes(2 * kPieceSize + 12345);
  const auto whole = describe(bytes);
  PieceDigests digests;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto part = std::min<std::size_t>(bytes.size() - at, 1 + at % 70'001);
    digests.update(base::as_bytes(std::string_view(bytes).substr(at, part)));
    at += part;
  }
  const auto parts = digests.finish("file.bin");
  EXPECT_EQ(parts.sha256, whole.sha256);
  EXPECT_EQ(parts.pieces, whole.pieces);
  EXPECT_EQ(parts.pieces.size(), 96U);
  EXPECT_EQ(whole.sha256, crypto::sha256_hex(bytes));
}

}  // namespace
}  // namespace larder::content
