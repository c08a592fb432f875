#include "crypto/containers.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/provider.h>

#include <algorithm>
#include <string>

#include "crypto/handles.h"
#include "crypto/openssl_error.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

using Pkcs7Handle = Handle<PKCS7, PKCS7_free>;
using Pkcs12Handle = Handle<PKCS12, PKCS12_free>;
using Pbe2Handle = Handle<PBE2PARAM, PBE2PARAM_free>;
using Pbkdf2Handle = Handle<PBKDF2PARAM, PBKDF2PARAM_free>;
using PbeHandle = Handle<PBEPARAM, PBEPARAM_free>;
using SafesHandle = std::unique_ptr<STACK_OF(PKCS7), decltype([](STACK_OF(PKCS7) * safes) {
                                      sk_PKCS7_pop_free(safes, PKCS7_free);
                                    })>;
using BagsHandle =
    std::unique_ptr<STACK_OF(PKCS12_SAFEBAG), decltype([](STACK_OF(PKCS12_SAFEBAG) * bags) {
                      sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
                    })>;

// Rounds of key derivation that take about a second; exporters use a thousandth to a tenth of it.
constexpr long kRoundsLimit = 2'000'000;
constexpr int kSafesLimit = 16;
constexpr int kBagsLimit = 100;
constexpr int kNestingLimit = 3;

// Older Windows encrypts with RC2, which OpenSSL keeps apart. A library context of our own, so that
// nothing else in the process can use it.
struct Algorithms {
  OSSL_LIB_CTX* context = OSSL_LIB_CTX_new();
  OSSL_PROVIDER* standard = OSSL_PROVIDER_load(context, "default");
  OSSL_PROVIDER* legacy = OSSL_PROVIDER_load(context, "legacy");  // null where it is not installed

  Algorithms() { ERR_clear_error(); }
  Algorithms(const Algorithms&) = delete;
  Algorithms& operator=(const Algorithms&) = delete;
  ~Algorithms() {
    if (legacy != nullptr) OSSL_PROVIDER_unload(legacy);
    if (standard != nullptr) OSSL_PROVIDER_unload(standard);
    OSSL_LIB_CTX_free(context);
  }
};

Status take(X509* borrowed, std::size_t limit, std::vector<Certificate>& into) {
  if (into.size() == limit) {
    return fail(ErrorCode::ResourceExhausted,
                "it holds more than " + std::to_string(limit) + " certificates");
  }
  // A copy of the bytes: what is taken must not depend on how the container was parsed.
  unsigned char* der = nullptr;
  const int size = i2d_X509(borrowed, &der);
  if (size <= 0) return fail_openssl(ErrorCode::InvalidArgument, "a certificate inside is damaged");
  auto certificate = Certificate::from_der({der, static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  if (!certificate) return std::unexpected(certificate.error());
  if (std::ranges::find(into, *certificate) == into.end()) into.push_back(std::move(*certificate));
  return {};
}

bool within_limit(const ASN1_INTEGER* rounds) {
  return rounds == nullptr ||
         (ASN1_INTEGER_get(rounds) >= 0 && ASN1_INTEGER_get(rounds) <= kRoundsLimit);
}

template <typename T>
T* unpack(const ASN1_ITEM* item, const ASN1_TYPE* parameter) {
  return static_cast<T*>(ASN1_TYPE_unpack_sequence(item, parameter));
}

// Bounds the work that a password costs before it is spent.
bool derivation_is_bounded(const X509_ALGOR* algorithm) {
  if (algorithm == nullptr) return false;
  const ASN1_OBJECT* object = nullptr;
  int type = 0;
  const void* unused = nullptr;
  X509_ALGOR_get0(&object, &type, &unused, algorithm);
  if (OBJ_obj2nid(object) != NID_pbes2) {
    const PbeHandle old(unpack<PBEPARAM>(ASN1_ITEM_rptr(PBEPARAM), algorithm->parameter));
    return old != nullptr && within_limit(old->iter);
  }
  const Pbe2Handle scheme(unpack<PBE2PARAM>(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter));
  if (!scheme) return false;
  X509_ALGOR_get0(&object, &type, &unused, scheme->keyfunc);
  if (OBJ_obj2nid(object) != NID_id_pbkdf2) return false;  // scrypt: nobody exports with it
  const Pbkdf2Handle derivation(
      unpack<PBKDF2PARAM>(ASN1_ITEM_rptr(PBKDF2PARAM), scheme->keyfunc->parameter));
  return derivation != nullptr && within_limit(derivation->iter);
}

Status read_bags(const STACK_OF(PKCS12_SAFEBAG) * bags, std::size_t limit, int nesting,
                 Pkcs12Content& content) {
  if (nesting > kNestingLimit || sk_PKCS12_SAFEBAG_num(bags) > kBagsLimit) {
    return fail(ErrorCode::ResourceExhausted, "it holds too much");
  }
  for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); ++i) {
    const PKCS12_SAFEBAG* bag = sk_PKCS12_SAFEBAG_value(bags, i);
    switch (PKCS12_SAFEBAG_get_nid(bag)) {
      case NID_keyBag:
      case NID_pkcs8ShroudedKeyBag:
        content.holds_key = true;
        break;
      case NID_certBag: {
        const CertificateHandle certificate(PKCS12_SAFEBAG_get1_cert(bag));
        ERR_clear_error();
        // Null: a certificate of another kind than X.509, which no TLS server could use.
        if (certificate) LARDER_TRY(take(certificate.get(), limit, content.certificates));
        break;
      }
      case NID_safeContentsBag:
        LARDER_TRY(read_bags(PKCS12_SAFEBAG_get0_safes(bag), limit, nesting + 1, content));
        break;
      default:
        break;
    }
  }
  return {};
}

const char* bytes_of(std::string_view password) {
  return password.empty() ? "" : password.data();
}

std::unexpected<base::Error> wrong_password(std::string_view password) {
  return fail(ErrorCode::Unauthenticated,
              password.empty() ? "it is protected by a password" : "the password does not open it");
}

Status check_password(PKCS12* container, std::string_view password) {
  if (PKCS12_mac_present(container) != 1) return {};
  const ASN1_INTEGER* rounds = nullptr;
  PKCS12_get0_mac(nullptr, nullptr, nullptr, &rounds, container);
  if (!within_limit(rounds)) {
    return fail(ErrorCode::ResourceExhausted, "its password takes too long to check");
  }
  const bool right =
      PKCS12_verify_mac(container, bytes_of(password), static_cast<int>(password.size())) == 1 ||
      // Without a password there are two customs: an empty one and none.
      (password.empty() && PKCS12_verify_mac(container, nullptr, 0) == 1);
  ERR_clear_error();
  return right ? Status() : wrong_password(password);
}

Result<BagsHandle> open_safe(PKCS7* safe, std::string_view password) {
  if (PKCS7_type_is_data(safe)) return BagsHandle(PKCS12_unpack_p7data(safe));
  if (!PKCS7_type_is_encrypted(safe)) return BagsHandle();
  const PKCS7_ENCRYPT* encrypted = safe->d.encrypted;
  if (encrypted == nullptr || encrypted->enc_data == nullptr ||
      !derivation_is_bounded(encrypted->enc_data->algorithm)) {
    return fail(ErrorCode::ResourceExhausted,
                "its encryption is unknown, or its password takes too long to check");
  }
  BagsHandle bags(
      PKCS12_unpack_p7encdata(safe, bytes_of(password), static_cast<int>(password.size())));
  if (!bags && password.empty()) bags.reset(PKCS12_unpack_p7encdata(safe, nullptr, 0));
  if (!bags) {
    ERR_clear_error();
    return wrong_password(password);
  }
  return bags;
}

}  // namespace

Result<std::vector<Certificate>> read_pkcs7(std::span<const std::uint8_t> der, std::size_t limit) {
  const unsigned char* position = der.data();
  const Pkcs7Handle container(d2i_PKCS7(nullptr, &position, static_cast<long>(der.size())));
  if (!container) return fail_openssl(ErrorCode::InvalidArgument, "not PKCS#7");
  const STACK_OF(X509)* inside = nullptr;
  if (PKCS7_type_is_signed(container.get()) && container->d.sign != nullptr) {
    inside = container->d.sign->cert;
  }
  std::vector<Certificate> certificates;
  for (int i = 0; inside != nullptr && i < sk_X509_num(inside); ++i) {
    LARDER_TRY(take(sk_X509_value(inside, i), limit, certificates));
  }
  if (certificates.empty()) {
    return fail(ErrorCode::InvalidArgument, "the PKCS#7 file holds no certificate");
  }
  return certificates;
}

Result<Pkcs12Content> read_pkcs12(std::span<const std::uint8_t> der, std::string_view password,
                                  std::size_t limit) {
  const Algorithms algorithms;
  PKCS12* raw = PKCS12_init_ex(NID_pkcs7_data, algorithms.context, nullptr);
  const unsigned char* position = der.data();
  if (raw == nullptr || d2i_PKCS12(&raw, &position, static_cast<long>(der.size())) == nullptr) {
    return fail_openssl(ErrorCode::InvalidArgument, "not PKCS#12");
  }
  const Pkcs12Handle container(raw);
  LARDER_TRY(check_password(container.get(), password));
  const SafesHandle safes(PKCS12_unpack_authsafes(container.get()));
  if (!safes) return fail_openssl(ErrorCode::InvalidArgument, "the PKCS#12 file is damaged");
  if (sk_PKCS7_num(safes.get()) > kSafesLimit) {
    return fail(ErrorCode::ResourceExhausted, "it holds too much");
  }
  Pkcs12Content content;
  for (int i = 0; i < sk_PKCS7_num(safes.get()); ++i) {
    const auto bags = open_safe(sk_PKCS7_value(safes.get(), i), password);
    if (!bags) return std::unexpected(bags.error());
    if (*bags) LARDER_TRY(read_bags(bags->get(), limit, 0, content));
  }
  ERR_clear_error();
  if (content.certificates.empty()) {
    return fail(ErrorCode::InvalidArgument, "the PKCS#12 file holds no certificate");
  }
  return content;
}

}  // namespace larder::crypto
