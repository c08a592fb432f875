#include "net/tls13_keys.h"

// SHA-256 itself: through EVP each of the four hashes of a handshake looks its algorithm up again.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace larder::net {

namespace {

// One half of HMAC (RFC 2104): the hash of the padded key and the text.
void hash_padded(std::span<const std::uint8_t, Tls13Keys::kSecret> key, std::uint8_t pad,
                 std::string_view text, std::span<std::uint8_t, SHA256_DIGEST_LENGTH> out) {
  std::array<std::uint8_t, SHA256_CBLOCK> block;
  block.fill(pad);
  for (std::size_t i = 0; i < key.size(); ++i) block[i] = key[i] ^ pad;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, block.data(), block.size());
  SHA256_Update(&context, text.data(), text.size());
  SHA256_Final(out.data(), &context);
  OPENSSL_cleanse(block.data(), block.size());
  OPENSSL_cleanse(&context, sizeof context);
}

// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1); one block of SHA-256 is enough
// for all that is derived.
void expand_label(std::span<const std::uint8_t, Tls13Keys::kSecret> secret, std::string_view label,
                  std::span<std::uint8_t> out) {
  std::string info;
  info.push_back('\0');
  info.push_back(static_cast<char>(out.size()));
  info.push_back(static_cast<char>(6 + label.size()));
  info += "tls13 ";
  info += label;
  info.push_back('\0');
  info.push_back('\1');  // counter of HKDF-Expand
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> inner;
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> outer;
  hash_padded(secret, 0x36, info, inner);
  hash_padded(secret, 0x5c, {reinterpret_cast<const char*>(inner.data()), inner.size()}, outer);
  std::copy_n(outer.begin(), out.size(), out.begin());
  OPENSSL_cleanse(inner.data(), inner.size());
  OPENSSL_cleanse(outer.data(), outer.size());
}

}  // namespace

std::unique_ptr<Tls13Keys> Tls13Keys::create(Direction direction,
                                             std::span<const std::uint8_t, kSecret> traffic_secret,
                                             std::uint64_t sequence) {
  std::unique_ptr<Tls13Keys> keys(new Tls13Keys(direction));
  std::copy(traffic_secret.begin(), traffic_secret.end(), keys->secret_.begin());
  if (!keys->set_keys()) return nullptr;
  keys->sequence_ = sequence;
  return keys;
}

Tls13Keys::~Tls13Keys() {
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(iv_.data(), iv_.size());
}

bool Tls13Keys::set_keys() {
  std::array<std::uint8_t, RecordCipher::kKey> key{};
  expand_label(secret_, "key", key);
  expand_label(secret_, "iv", iv_);
  cipher_ = RecordCipher::create(direction_, key);
  OPENSSL_cleanse(key.data(), key.size());
  sequence_ = 0;
  return cipher_ != nullptr;
}

bool Tls13Keys::update() {
  std::array<std::uint8_t, kSecret> next{};
  expand_label(secret_, "traffic upd", next);
  secret_ = next;
  OPENSSL_cleanse(next.data(), next.size());
  return set_keys();
}

std::array<std::uint8_t, RecordCipher::kNonce> Tls13Keys::nonce() const {
  std::array<std::uint8_t, RecordCipher::kNonce> value = iv_;
  for (std::size_t i = 0; i < 8; ++i) {
    value[11 - i] = static_cast<std::uint8_t>(value[11 - i] ^ (sequence_ >> (8 * i)));
  }
  return value;
}

std::size_t Tls13Keys::seal(std::uint8_t type, std::string_view first, std::string_view second,
                            char* out) {
  const std::size_t inner = first.size() + second.size() + 1;
  const std::size_t body = inner + RecordCipher::kTag;
  const char header[kHeader] = {'\x17', '\x03', '\x03', static_cast<char>(body >> 8),
                                static_cast<char>(body)};
  std::memcpy(out, header, kHeader);
  const char inner_type = static_cast<char>(type);
  const std::array<std::string_view, 3> parts = {first, second, {&inner_type, 1}};
  if (!cipher_->seal(nonce(), {header, kHeader}, parts, out + kHeader)) return 0;
  ++sequence_;
  return kHeader + body;
}

bool Tls13Keys::open(std::span<char> record, Opened& opened) {
  if (record.size() < kOverhead || record[0] != '\x17') return false;
  const std::span<char> content =
      record.subspan(kHeader, record.size() - kHeader - RecordCipher::kTag);
  if (!cipher_->open(nonce(), {record.data(), kHeader}, content,
                     record.last<RecordCipher::kTag>())) {
    return false;
  }
  ++sequence_;
  std::string_view plain(content.data(), content.size());
  while (!plain.empty() && plain.back() == '\0') plain.remove_suffix(1);  // padding
  if (plain.empty() || plain.size() - 1 > kMostContent) return false;
  opened.type = static_cast<std::uint8_t>(plain.back());
  opened.content = plain.substr(0, plain.size() - 1);
  return true;
}

}  // namespace larder::net
