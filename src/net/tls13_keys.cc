#include "net/tls13_keys.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace larder::net {

namespace {

EVP_CIPHER_CTX* native(void* context) {
  return static_cast<EVP_CIPHER_CTX*>(context);
}

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(char* text) {
  return reinterpret_cast<unsigned char*>(text);
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
  keys->context_ = EVP_CIPHER_CTX_new();
  std::copy(traffic_secret.begin(), traffic_secret.end(), keys->secret_.begin());
  if (keys->context_ == nullptr || !keys->set_keys()) return nullptr;
  keys->sequence_ = sequence;
  return keys;
}

Tls13Keys::~Tls13Keys() {
  EVP_CIPHER_CTX_free(native(context_));
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(iv_.data(), iv_.size());
}

bool Tls13Keys::set_keys() {
  std::array<std::uint8_t, 16> key{};
  const bool set = expand_label(secret_, "key", key) && expand_label(secret_, "iv", iv_) &&
                   EVP_CipherInit_ex(native(context_), EVP_aes_128_gcm(), nullptr, key.data(),
                                     nullptr, direction_ == Direction::Seal ? 1 : 0) == 1;
  OPENSSL_cleanse(key.data(), key.size());
  sequence_ = 0;
  return set;
}

bool Tls13Keys::update() {
  std::array<std::uint8_t, kSecret> next{};
  if (!expand_label(secret_, "traffic upd", next)) return false;
  secret_ = next;
  OPENSSL_cleanse(next.data(), next.size());
  return set_keys();
}

std::array<std::uint8_t, 12> Tls13Keys::nonce() const {
  std::array<std::uint8_t, 12> value = iv_;
  for (std::size_t i = 0; i < 8; ++i) {
    value[11 - i] = static_cast<std::uint8_t>(value[11 - i] ^ (sequence_ >> (8 * i)));
  }
  return value;
}

std::size_t Tls13Keys::seal(std::uint8_t type, std::string_view first, std::string_view second,
                            char* out) {
  EVP_CIPHER_CTX* context = native(context_);
  const std::size_t inner = first.size() + second.size() + 1;
  const std::size_t body = inner + 16;
  const char header[kHeader] = {'\x17', '\x03', '\x03', static_cast<char>(body >> 8),
                                static_cast<char>(body)};
  std::memcpy(out, header, kHeader);
  char* to = out + kHeader;
  int length = 0;
  const auto put = [&](std::string_view part) {
    if (part.empty()) return true;
    if (EVP_EncryptUpdate(context, bytes(to), &length, bytes(part),
                          static_cast<int>(part.size())) != 1) {
      return false;
    }
    to += length;
    return true;
  };
  const char inner_type = static_cast<char>(type);
  if (EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce().data()) != 1 ||
      EVP_EncryptUpdate(context, nullptr, &length, bytes({header, kHeader}), kHeader) != 1 ||
      !put(first) || !put(second) || !put({&inner_type, 1}) ||
      EVP_EncryptFinal_ex(context, bytes(to), &length) != 1 ||
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, to) != 1) {
    return 0;
  }
  ++sequence_;
  return kHeader + body;
}

bool Tls13Keys::open(std::span<char> record, Opened& opened) {
  if (record.size() < kOverhead || record[0] != '\x17') return false;
  EVP_CIPHER_CTX* context = native(context_);
  char* content = record.data() + kHeader;
  const std::size_t inner = record.size() - kHeader - 16;
  int length = 0;
  if (EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce().data()) != 1 ||
      EVP_DecryptUpdate(context, nullptr, &length, bytes(record.data()), kHeader) != 1 ||
      EVP_DecryptUpdate(context, bytes(content), &length, bytes(content),
                        static_cast<int>(inner)) != 1 ||
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, content + inner) != 1 ||
      EVP_DecryptFinal_ex(context, bytes(content + inner), &length) != 1) {
    return false;
  }
  ++sequence_;
  std::string_view plain(content, inner);
  while (!plain.empty() && plain.back() == '\0') plain.remove_suffix(1);  // padding
  if (plain.empty() || plain.size() - 1 > kMostContent) return false;
  opened.type = static_cast<std::uint8_t>(plain.back());
  opened.content = plain.substr(0, plain.size() - 1);
  return true;
}

}  // namespace larder::net
