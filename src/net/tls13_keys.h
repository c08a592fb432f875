// One direction of a TLS 1.3 connection under TLS_AES_128_GCM_SHA256: sealing or opening of records
// (RFC 8446 section 5).
//
// OpenSSL does the handshake; after it these two objects do the records, because OpenSSL copies
// every byte twice and spends more on a small record than its encryption costs. One thread at a
// time. Secrets are cleansed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "net/record_cipher.h"

namespace larder::net {

class Tls13Keys {
 public:
  static constexpr std::size_t kSecret = 32;
  static constexpr std::size_t kHeader = 5;
  static constexpr std::size_t kOverhead =
      kHeader + 1 + RecordCipher::kTag;  // header, inner type, tag
  static constexpr std::size_t kMostContent = 16 * 1024;
  // Inner types of records.
  static constexpr std::uint8_t kAlert = 21;
  static constexpr std::uint8_t kHandshake = 22;
  static constexpr std::uint8_t kData = 23;
  // Records sealed under one key before it must be updated, far below the limit of RFC 8446
  // section 5.5.
  static constexpr std::uint64_t kMostRecords = 1ULL << 23;

  using Direction = RecordCipher::Direction;
  // `traffic_secret` is the application traffic secret; `sequence` counts the records that it has
  // protected already. Null when the library fails.
  static std::unique_ptr<Tls13Keys> create(Direction direction,
                                           std::span<const std::uint8_t, kSecret> traffic_secret,
                                           std::uint64_t sequence);
  ~Tls13Keys();
  Tls13Keys(const Tls13Keys&) = delete;
  Tls13Keys& operator=(const Tls13Keys&) = delete;

  // Writes one record with the two parts after each other (at most kMostContent together) to `out`,
  // which has room for their size and kOverhead. The number of bytes written; 0 on failure.
  std::size_t seal(std::uint8_t type, std::string_view first, std::string_view second, char* out);

  // Opens one whole record in place. False when it is forged or malformed.
  struct Opened {
    std::uint8_t type = 0;
    std::string_view content;  // within the record's bytes
  };
  bool open(std::span<char> record, Opened& opened);

  // The next generation of keys (KeyUpdate, RFC 8446 section 4.6.3).
  bool update();
  std::uint64_t sequence() const { return sequence_; }

 private:
  explicit Tls13Keys(Direction direction) : direction_(direction) {}
  bool set_keys();
  std::array<std::uint8_t, RecordCipher::kNonce> nonce() const;

  const Direction direction_;
  std::unique_ptr<RecordCipher> cipher_;
  std::uint64_t sequence_ = 0;
  std::array<std::uint8_t, kSecret> secret_{};
  std::array<std::uint8_t, RecordCipher::kNonce> iv_{};
};

}  // namespace larder::net
