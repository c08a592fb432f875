#include "net/tls13_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace larder::net {

namespace {

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1); one block of SHA-256 is enough
// for all that is derived.
bool expand_label(std::span<const std::uint8_t, Tls13Keys::kSecret> secret, std::string_view label,
                  std::span<std::uint8_t> out) {
  std::string info;
  info.push_back('\0');
  info.push_back(static_cast<char>(out.size()));
  info.push_back(static_cast<char>(6 + label.size()));
  info += "tls13 ";
  info += label;
  info.push_back('\0');
  info.push_back('\1');  // counter of HKDF-Expand
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> block{};
  unsigned length = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes(info), info.size(),
           block.data(), &length) == nullptr) {
    return false;
  }
  std::copy_n(block.begin(), out.size(), out.begin());
  OPENSSL_cleanse(block.data(), block.size());
  return true;
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
  const bool derived = expand_label(secret_, "key", key) && expand_label(secret_, "iv", iv_);
  if (derived) cipher_ = RecordCipher::create(direction_, key);
  OPENSSL_cleanse(key.data(), key.size());
  sequence_ = 0;
  return derived && cipher_ != nullptr;
}

bool Tls13Keys::update() {
  std::array<std::uint8_t, kSecret> next{};
  if (!expand_label(secret_, "traffic upd", next)) return false;
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
