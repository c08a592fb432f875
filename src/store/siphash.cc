#include "store/siphash.h"

#include <bit>
#include <cstddef>

#include "store/byte_order.h"

namespace larder::store {
namespace {

struct State {
  std::uint64_t v0, v1, v2, v3;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }

  void absorb(std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }

  std::uint64_t folded() const { return v0 ^ v1 ^ v2 ^ v3; }
};

}  // namespace

Key siphash_128(const std::array<std::uint8_t, 16>& secret, std::span<const std::uint8_t> bytes) {
  const std::uint64_t k0 = load_le<std::uint64_t>(secret.data());
  const std::uint64_t k1 = load_le<std::uint64_t>(secret.data() + 8);
  // The constants spell "somepseudorandomlygeneratedbytes"; 0xee marks the 128-bit variant.
  State state{.v0 = k0 ^ 0x736f6d6570736575,
              .v1 = k1 ^ 0x646f72616e646f6d ^ 0xee,
              .v2 = k0 ^ 0x6c7967656e657261,
              .v3 = k1 ^ 0x7465646279746573};
  const std::size_t whole = bytes.size() / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) state.absorb(load_le<std::uint64_t>(bytes.data() + i));
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
  for (std::size_t i = whole; i < bytes.size(); ++i) {
    last |= static_cast<std::uint64_t>(bytes[i]) << (8 * (i - whole));
  }
  state.absorb(last);

  Key key;
  state.v2 ^= 0xee;
  state.rounds(4);
  key.high = state.folded();
  state.v1 ^= 0xdd;
  state.rounds(4);
  key.low = state.folded();
  return key;
}

}  // namespace larder::store
