#include "net/record_cipher.h"

#ifdef LARDER_MULTI_BUFFER_CIPHER

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

namespace larder::net {

namespace {

// The table of functions for this processor; null when it has no AES instructions. Only read after
// it was made, so that all threads share it.
IMB_MGR* functions() {
  static IMB_MGR* const table = []() -> IMB_MGR* {
    IMB_MGR* made = alloc_mb_mgr(0);
    if (made == nullptr) return nullptr;
    IMB_ARCH chosen = IMB_ARCH_NONE;
    init_mb_mgr_auto(made, &chosen);
    if (chosen == IMB_ARCH_NONE || chosen == IMB_ARCH_NOAESNI || imb_get_errno(made) != 0) {
      free_mb_mgr(made);
      return nullptr;
    }
    return made;
  }();
  return table;
}

class MultiBufferCipher final : public RecordCipher {
 public:
  explicit MultiBufferCipher(Key key) { IMB_AES128_GCM_PRE(functions(), key.data(), &key_); }
  ~MultiBufferCipher() override { OPENSSL_cleanse(&key_, sizeof key_); }
  MultiBufferCipher(const MultiBufferCipher&) = delete;
  MultiBufferCipher& operator=(const MultiBufferCipher&) = delete;

  bool seal(Nonce nonce, std::string_view associated, std::span<const std::string_view> parts,
            char* out) override {
    IMB_MGR* const table = functions();
    alignas(64) gcm_context_data context;
    auto* to = reinterpret_cast<std::uint8_t*>(out);
    IMB_AES128_GCM_INIT(table, &key_, &context, nonce.data(),
                        reinterpret_cast<const std::uint8_t*>(associated.data()),
                        associated.size());
    for (const std::string_view part : parts) {
      if (part.empty()) continue;
      IMB_AES128_GCM_ENC_UPDATE(table, &key_, &context, to,
                                reinterpret_cast<const std::uint8_t*>(part.data()), part.size());
      to += part.size();
    }
    IMB_AES128_GCM_ENC_FINALIZE(table, &key_, &context, to, kTag);
    return true;
  }

  bool open(Nonce nonce, std::string_view associated, std::span<char> content,
            std::span<const char, kTag> tag) override {
    alignas(64) gcm_context_data context;
    std::uint8_t computed[kTag];
    auto* bytes = reinterpret_cast<std::uint8_t*>(content.data());
    IMB_AES128_GCM_DEC(functions(), &key_, &context, bytes, bytes, content.size(), nonce.data(),
                       reinterpret_cast<const std::uint8_t*>(associated.data()), associated.size(),
                       computed, kTag);
    return CRYPTO_memcmp(computed, tag.data(), kTag) == 0;
  }

 private:
  // The library's aligned loads and stores expect this of both structures; they do not say so.
  alignas(64) gcm_key_data key_{};
};

}  // namespace

std::unique_ptr<RecordCipher> create_multi_buffer_cipher(RecordCipher::Key key) {
  if (functions() == nullptr) return nullptr;
  return std::make_unique<MultiBufferCipher>(key);
}

}  // namespace larder::net

#else

namespace larder::net {

std::unique_ptr<RecordCipher> create_multi_buffer_cipher(RecordCipher::Key /*key*/) {
  return nullptr;
}

}  // namespace larder::net

#endif
