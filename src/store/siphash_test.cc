#include "store/siphash.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "base/encoding.h"

namespace larder::store {
namespace {

std::string text_of(const Key& key) {
  std::array<std::uint8_t, 16> bytes{};
  for (unsigned i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(key.high >> (8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(key.low >> (8 * i));
  }
  return base::to_hex(bytes);
}

// The authors' vectors: key 00..0f, input 00, 01, .. of the length given.
TEST(SipHash, AgreesWithThePublishedVectors) {
  std::array<std::uint8_t, 16> secret{};
  for (std::size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::uint8_t>(i);
  const auto hash_of = [&](std::size_t length) {
    std::vector<std::uint8_t> input(length);
    for (std::size_t i = 0; i < length; ++i) input[i] = static_cast<std::uint8_t>(i);
    return text_of(siphash_128(secret, input));
  };
  EXPECT_EQ(hash_of(0), "a3817f04ba25a8e66df67214c7550293");
  EXPECT_EQ(hash_of(1), "da87c1d86b99af44347659119b22fc45");
  EXPECT_EQ(hash_of(2), "8177228da4a45dc7fca38bdef60affe4");
  EXPECT_EQ(hash_of(15), "5493e99933b0a8117e08ec0f97cfc3d9");
  EXPECT_EQ(hash_of(63), "5150d1772f50834a503e069a973fbd7c");
}

TEST(SipHash, DependsOnTheSecret) {
  const std::array<std::uint8_t, 16> one{1};
  const std::array<std::uint8_t, 16> two{2};
  EXPECT_NE(siphash_128(one, base::as_bytes("name")), siphash_128(two, base::as_bytes("name")));
}

}  // namespace
}  // namespace larder::store
