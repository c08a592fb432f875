// AES-128-GCM (NIST SP 800-38D) for the records of one direction of a connection. One thread at a
// time; keys are cleansed.
//
// Two libraries do it. Intel's multi-buffer library seals a record in a fifth of the time that
// OpenSSL 3.0 needs, because it uses the vector forms of the AES instructions and takes a record in
// one call; where it is not there (not amd64, or a processor without AES instructions), OpenSSL
// does it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace larder::net {

class RecordCipher {
 public:
  static constexpr std::size_t kKey = 16;
  static constexpr std::size_t kNonce = 12;
  static constexpr std::size_t kTag = 16;
  using Key = std::span<const std::uint8_t, kKey>;
  using Nonce = std::span<const std::uint8_t, kNonce>;
  enum class Direction { Seal, Open };

  // The fastest that this machine has; null when the library fails.
  static std::unique_ptr<RecordCipher> create(Direction direction, Key key);
  virtual ~RecordCipher() = default;
  RecordCipher(const RecordCipher&) = delete;
  RecordCipher& operator=(const RecordCipher&) = delete;

  // Writes the parts, encrypted one after another, and the tag to `out`, which must not overlap
  // them. False when the library fails.
  virtual bool seal(Nonce nonce, std::string_view associated,
                    std::span<const std::string_view> parts, char* out) = 0;
  // Decrypts in place; false, and the content is of no use, when the tag is not right.
  virtual bool open(Nonce nonce, std::string_view associated, std::span<char> content,
                    std::span<const char, kTag> tag) = 0;

 protected:
  RecordCipher() = default;
};

// For create() and tests. Null when it cannot be used here.
std::unique_ptr<RecordCipher> create_openssl_cipher(RecordCipher::Direction direction,
                                                    RecordCipher::Key key);
std::unique_ptr<RecordCipher> create_multi_buffer_cipher(RecordCipher::Key key);

}  // namespace larder::net
