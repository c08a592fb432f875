#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/encoding.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "crypto/openssl_error.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kRsaModulusLimit =
    1024;  // 8192 bits: verification time grows with its square
constexpr std::size_t kRsaModulusMinimum = 256;
constexpr std::size_t kRsaExponentLimit = 4;

using ParamBuilderHandle = Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using ParamsHandle = Handle<OSSL_PARAM, OSSL_PARAM_free>;

Result<PublicKey> key_from_params(const char* algorithm, OSSL_PARAM_BLD* builder) {
  const ParamsHandle params(OSSL_PARAM_BLD_to_param(builder));
  const KeyContextHandle context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    EVP_PKEY_free(key);
    return fail_openssl(ErrorCode::InvalidArgument, "the JWK is not a valid public key");
  }
  return PublicKey(SharedKey(key));
}

Result<std::string> binary_member(const base::Json& jwk, const char* member) {
  const auto text = base::json_string(jwk, member);
  if (!text) return text;
  return base::from_base64url(*text);
}

Result<PublicKey> ec_key(const base::Json& jwk) {
  const auto curve = base::json_string(jwk, "crv");
  if (!curve) return std::unexpected(curve.error());
  const std::size_t size = *curve == "P-256" ? 32U : *curve == "P-384" ? 48U : 0U;
  if (size == 0) return fail(ErrorCode::InvalidArgument, "the JWK's curve is not P-256 or P-384");
  const auto x = binary_member(jwk, "x");
  if (!x) return std::unexpected(x.error());
  const auto y = binary_member(jwk, "y");
  if (!y) return std::unexpected(y.error());
  // RFC 7518 section 6.2.1.2: always the full size, so that one key has one text.
  if (x->size() != size || y->size() != size) {
    return fail(ErrorCode::InvalidArgument, "the JWK's coordinates have the wrong length");
  }
  const std::string point = "\x04" + *x + *y;
  const ParamBuilderHandle builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->c_str(),
                                      0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot read the JWK");
  }
  return key_from_params("EC", builder.get());
}

Result<PublicKey> rsa_key(const base::Json& jwk) {
  const auto modulus = binary_member(jwk, "n");
  if (!modulus) return std::unexpected(modulus.error());
  const auto exponent = binary_member(jwk, "e");
  if (!exponent) return std::unexpected(exponent.error());
  const bool modulus_fits = modulus->size() >= kRsaModulusMinimum &&
                            modulus->size() <= kRsaModulusLimit && modulus->front() != '\0' &&
                            (modulus->back() & 1) != 0;
  const bool exponent_fits = !exponent->empty() && exponent->size() <= kRsaExponentLimit &&
                             exponent->front() != '\0' && (exponent->back() & 1) != 0 &&
                             *exponent != "\x01";
  if (!modulus_fits || !exponent_fits) {
    return fail(ErrorCode::InvalidArgument,
                "the JWK's RSA numbers are outside 2048 to 8192 bits or malformed");
  }
  const auto bignum = [](const std::string& bytes) {
    return BignumHandle(
        BN_bin2bn(base::as_bytes(bytes).data(), static_cast<int>(bytes.size()), nullptr));
  };
  const BignumHandle n = bignum(*modulus);
  const BignumHandle e = bignum(*exponent);
  const ParamBuilderHandle builder(OSSL_PARAM_BLD_new());
  if (!builder || !n || !e ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot read the JWK");
  }
  return key_from_params("RSA", builder.get());
}

// A number of the key as base64url, padded to `size` bytes (0: no padding).
Result<std::string> number_text(EVP_PKEY* key, const char* param, std::size_t size) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, param, &raw) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot read a number of the public key");
  }
  const BignumHandle number(raw);
  const std::size_t width = size != 0 ? size : static_cast<std::size_t>(BN_num_bytes(raw));
  std::vector<std::uint8_t> bytes(width);
  if (BN_bn2binpad(raw, bytes.data(), static_cast<int>(width)) < 0) {
    return fail_openssl(ErrorCode::Internal, "cannot read a number of the public key");
  }
  return base::to_base64url(bytes);
}

}  // namespace

Result<PublicKey> PublicKey::from_jwk(std::string_view json) {
  const auto jwk = base::parse_json(json);
  if (!jwk) return base::with_context("the JWK", jwk.error());
  if (!jwk->is_object()) return fail(ErrorCode::InvalidArgument, "the JWK is not an object");
  for (const char* secret : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) {
    if (jwk->contains(secret)) {
      return fail(ErrorCode::InvalidArgument, "the JWK holds a private key or a shared secret");
    }
  }
  const auto type = base::json_string(*jwk, "kty");
  if (!type) return std::unexpected(type.error());
  if (*type == "EC") return ec_key(*jwk);
  if (*type == "RSA") return rsa_key(*jwk);
  return fail(ErrorCode::InvalidArgument, "the JWK's kty is not EC or RSA");
}

Result<std::string> PublicKey::to_jwk() const {
  const KeyType kind = type();
  if (kind == KeyType::EcP256 || kind == KeyType::EcP384) {
    const std::size_t size = kind == KeyType::EcP256 ? 32 : 48;
    const auto x = number_text(native(), OSSL_PKEY_PARAM_EC_PUB_X, size);
    if (!x) return x;
    const auto y = number_text(native(), OSSL_PKEY_PARAM_EC_PUB_Y, size);
    if (!y) return y;
    return std::string(R"({"crv":")") + (kind == KeyType::EcP256 ? "P-256" : "P-384") +
           R"(","kty":"EC","x":")" + *x + R"(","y":")" + *y + R"("})";
  }
  if (kind == KeyType::Rsa) {
    const auto n = number_text(native(), OSSL_PKEY_PARAM_RSA_N, 0);
    if (!n) return n;
    const auto e = number_text(native(), OSSL_PKEY_PARAM_RSA_E, 0);
    if (!e) return e;
    return R"({"e":")" + *e + R"(","kty":"RSA","n":")" + *n + R"("})";
  }
  return fail(ErrorCode::InvalidArgument, "a key of type " + description() + " has no JWK here");
}

Result<std::string> PublicKey::thumbprint() const {
  const auto jwk = to_jwk();
  if (!jwk) return jwk;
  return base::to_base64url(sha256(*jwk));
}

}  // namespace larder::crypto
