#include "net/record_cipher.h"

#include <openssl/evp.h>

namespace larder::net {

namespace {

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(char* text) {
  return reinterpret_cast<unsigned char*>(text);
}

class OpenSslCipher final : public RecordCipher {
 public:
  ~OpenSslCipher() override { EVP_CIPHER_CTX_free(context_); }
  OpenSslCipher() = default;
  OpenSslCipher(const OpenSslCipher&) = delete;
  OpenSslCipher& operator=(const OpenSslCipher&) = delete;

  bool set_key(Direction direction, Key key) {
    return context_ != nullptr &&
           EVP_CipherInit_ex(context_, EVP_aes_128_gcm(), nullptr, key.data(), nullptr,
                             direction == Direction::Seal ? 1 : 0) == 1;
  }

  bool seal(Nonce nonce, std::string_view associated, std::span<const std::string_view> parts,
            char* out) override {
    int length = 0;
    if (EVP_EncryptInit_ex(context_, nullptr, nullptr, nullptr, nonce.data()) != 1 ||
        EVP_EncryptUpdate(context_, nullptr, &length, bytes(associated),
                          static_cast<int>(associated.size())) != 1) {
      return false;
    }
    for (const std::string_view part : parts) {
      if (part.empty()) continue;
      if (EVP_EncryptUpdate(context_, bytes(out), &length, bytes(part),
                            static_cast<int>(part.size())) != 1) {
        return false;
      }
      out += length;
    }
    return EVP_EncryptFinal_ex(context_, bytes(out), &length) == 1 &&
           EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kTag, out) == 1;
  }

  bool open(Nonce nonce, std::string_view associated, std::span<char> content,
            std::span<const char, kTag> tag) override {
    int length = 0;
    return EVP_DecryptInit_ex(context_, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
           EVP_DecryptUpdate(context_, nullptr, &length, bytes(associated),
                             static_cast<int>(associated.size())) == 1 &&
           EVP_DecryptUpdate(context_, bytes(content.data()), &length, bytes(content.data()),
                             static_cast<int>(content.size())) == 1 &&
           EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, kTag,
                               const_cast<char*>(tag.data())) == 1 &&
           EVP_DecryptFinal_ex(context_, bytes(content.data() + content.size()), &length) == 1;
  }

 private:
  EVP_CIPHER_CTX* context_ = EVP_CIPHER_CTX_new();
};

}  // namespace

std::unique_ptr<RecordCipher> create_openssl_cipher(RecordCipher::Direction direction,
                                                    RecordCipher::Key key) {
  auto cipher = std::make_unique<OpenSslCipher>();
  if (!cipher->set_key(direction, key)) return nullptr;
  return cipher;
}

std::unique_ptr<RecordCipher> RecordCipher::create(Direction direction, Key key) {
  if (auto cipher = create_multi_buffer_cipher(key)) return cipher;
  return create_openssl_cipher(direction, key);
}

}  // namespace larder::net
