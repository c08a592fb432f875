#include "net/record_cipher.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace larder::net {
namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

template <std::size_t Size>
std::array<std::uint8_t, Size> octets(std::string_view hex) {
  const std::string bytes = from_hex(hex);
  std::array<std::uint8_t, Size> array{};
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

using Direction = RecordCipher::Direction;
using Maker = std::unique_ptr<RecordCipher> (*)(Direction, RecordCipher::Key);

std::unique_ptr<RecordCipher> make_multi_buffer(Direction /*direction*/, RecordCipher::Key key) {
  return create_multi_buffer_cipher(key);
}

class RecordCipherTest : public testing::TestWithParam<Maker> {
 protected:
  std::unique_ptr<RecordCipher> make(Direction direction, RecordCipher::Key key) {
    return GetParam()(direction, key);
  }
  void SetUp() override {
    if (!make(Direction::Seal, key_)) GTEST_SKIP() << "this library is not on this machine";
  }
  // Test case 4 of the specification of GCM.
  const std::array<std::uint8_t, 16> key_ = octets<16>("feffe9928665731c6d6a8f9467308308");
  const std::array<std::uint8_t, 12> nonce_ = octets<12>("cafebabefacedbaddecaf888");
  const std::string associated_ = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const std::string plain_ = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const std::string sealed_ = from_hex(
      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
      "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
      "5bc94fbc3221a5db94fae95ae7121a47");
};

TEST_P(RecordCipherTest, SealsAsTheSpecificationSaysHoweverThePlainTextIsCut) {
  const auto cipher = make(Direction::Seal, key_);
  for (std::size_t cut = 0; cut <= plain_.size(); ++cut) {
    const std::string_view plain = plain_;
    const std::array<std::string_view, 2> parts = {plain.substr(0, cut), plain.substr(cut)};
    std::string out(sealed_.size(), '\0');
    ASSERT_TRUE(cipher->seal(nonce_, associated_, parts, out.data()));
    EXPECT_EQ(out, sealed_) << "cut at " << cut;
  }
}

TEST_P(RecordCipherTest, OpensInPlaceAndRefusesWhatWasChanged) {
  const auto cipher = make(Direction::Open, key_);
  const auto open = [&](std::string& bytes, std::string_view associated) {
    const std::span<char> all(bytes);
    return cipher->open(nonce_, associated, all.first(plain_.size()), all.last<16>());
  };
  std::string bytes = sealed_;
  ASSERT_TRUE(open(bytes, associated_));
  EXPECT_EQ(bytes.substr(0, plain_.size()), plain_);
  for (std::size_t i = 0; i < sealed_.size(); ++i) {
    std::string forged = sealed_;
    forged[i] = static_cast<char>(forged[i] ^ 0x10);
    EXPECT_FALSE(open(forged, associated_)) << "byte " << i;
  }
  bytes = sealed_;
  EXPECT_FALSE(open(bytes, "another header"));
}

TEST_P(RecordCipherTest, OpensWhatTheOtherLibrarySealedAtEverySize) {
  const auto seal = make(Direction::Seal, key_);
  const auto open = create_openssl_cipher(Direction::Open, key_);
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 255U, 4096U, 16383U, 16384U}) {
    const std::string plain(size, 'p');
    std::string out(size + 16, '\0');
    const std::array<std::string_view, 1> parts = {plain};
    ASSERT_TRUE(seal->seal(nonce_, "header", parts, out.data()));
    const std::span<char> all(out);
    ASSERT_TRUE(open->open(nonce_, "header", all.first(size), all.last<16>())) << size;
    EXPECT_EQ(out.substr(0, size), plain);
  }
}

INSTANTIATE_TEST_SUITE_P(Libraries, RecordCipherTest,
                         testing::Values(&create_openssl_cipher, &make_multi_buffer),
                         [](const auto& test) {
                           return test.param == &make_multi_buffer ? "MultiBuffer" : "OpenSsl";
                         });

}  // namespace
}  // namespace larder::net
