#include "crypto/jws.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/encoding.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "crypto/openssl_error.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kHeaderLimit = 8 * 1024;
constexpr int kCoordinateSize = 32;  // ES256: r and s of 32 bytes each (RFC 7518 section 3.4)

Result<JwsAlgorithm> allowed_algorithm(const std::string& text, const JwsRules& rules) {
  if (text == "ES256" && rules.allow_es256) return JwsAlgorithm::Es256;
  if (text == "RS256" && rules.allow_rs256) return JwsAlgorithm::Rs256;
  if (text == "PS256" && rules.allow_ps256) return JwsAlgorithm::Ps256;
  return fail(ErrorCode::Unauthenticated, "the token's algorithm is not accepted here");
}

bool is_type(std::string_view given, std::string_view wanted) {
  constexpr std::string_view kPrefix = "application/";
  if (given.size() > kPrefix.size() &&
      base::equals_ignoring_case(given.substr(0, kPrefix.size()), kPrefix)) {
    given.remove_prefix(kPrefix.size());
  }
  return base::equals_ignoring_case(given, wanted);
}

Status read_header(std::string_view text, const JwsRules& rules, Jws& jws) {
  const auto header = base::parse_json(text);
  if (!header) return base::with_context("the token's header", header.error());
  if (!header->is_object()) {
    return fail(ErrorCode::InvalidArgument, "the token's header is not an object");
  }
  if (header->contains("crit")) {
    return fail(ErrorCode::Unauthenticated, "the token demands an extension (crit)");
  }
  const auto algorithm_text = base::json_string(*header, "alg");
  if (!algorithm_text) return std::unexpected(algorithm_text.error());
  const auto algorithm = allowed_algorithm(*algorithm_text, rules);
  if (!algorithm) return std::unexpected(algorithm.error());
  jws.algorithm = *algorithm;
  auto type = base::json_string_or(*header, "typ", "");
  if (!type) return std::unexpected(type.error());
  if (!rules.type.empty() && !is_type(*type, rules.type)) {
    return fail(ErrorCode::Unauthenticated, "the token is of another type");
  }
  auto key_id = base::json_string_or(*header, "kid", "");
  if (!key_id) return std::unexpected(key_id.error());
  jws.type = std::move(*type);
  jws.key_id = std::move(*key_id);
  if (const auto jwk = header->find("jwk"); jwk != header->end()) {
    if (!jwk->is_object()) return fail(ErrorCode::InvalidArgument, "the token's jwk is no object");
    jws.embedded_jwk = jwk->dump(-1, ' ', false, base::Json::error_handler_t::replace);
  }
  return {};
}

// RFC 7518 section 3.4 wants r and s as they are; OpenSSL works with the DER form.
Result<std::string> der_from_raw(std::string_view raw) {
  if (raw.size() != 2 * kCoordinateSize) {
    return fail(ErrorCode::Unauthenticated, "the token's signature has the wrong length");
  }
  const auto bytes = base::as_bytes(raw);
  BignumHandle r(BN_bin2bn(bytes.data(), kCoordinateSize, nullptr));
  BignumHandle s(BN_bin2bn(bytes.data() + kCoordinateSize, kCoordinateSize, nullptr));
  const EcdsaSignatureHandle signature(ECDSA_SIG_new());
  if (!r || !s || !signature || ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot read a signature");
  }
  (void)r.release();
  (void)s.release();
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size <= 0) return fail_openssl(ErrorCode::Internal, "cannot read a signature");
  std::string result(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return result;
}

Result<std::string> raw_from_der(std::span<const std::uint8_t> der) {
  const unsigned char* position = der.data();
  const EcdsaSignatureHandle signature(
      d2i_ECDSA_SIG(nullptr, &position, static_cast<long>(der.size())));
  std::array<std::uint8_t, 2 * kCoordinateSize> raw{};
  if (!signature ||
      BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(), kCoordinateSize) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw.data() + kCoordinateSize,
                   kCoordinateSize) < 0) {
    return fail_openssl(ErrorCode::Internal, "cannot write a signature");
  }
  return std::string(base::as_text(raw));
}

bool key_fits(JwsAlgorithm algorithm, const PublicKey& key) {
  if (algorithm == JwsAlgorithm::Es256) return key.type() == KeyType::EcP256;
  return key.type() == KeyType::Rsa && key.bits() >= 2048;
}

base::Json header_fields(const JwsHeader& header, const char* algorithm) {
  base::Json fields = {{"alg", algorithm}};
  if (!header.type.empty()) fields["typ"] = header.type;
  if (!header.key_id.empty()) fields["kid"] = header.key_id;
  if (!header.nonce.empty()) fields["nonce"] = header.nonce;
  if (!header.url.empty()) fields["url"] = header.url;
  return fields;
}

std::string signing_input(const base::Json& fields, std::string_view payload) {
  const std::string text = fields.dump(-1, ' ', false, base::Json::error_handler_t::replace);
  return base::to_base64url(base::as_bytes(text)) + "." +
         base::to_base64url(base::as_bytes(payload));
}

}  // namespace

std::string_view name(JwsAlgorithm algorithm) {
  switch (algorithm) {
    case JwsAlgorithm::Es256:
      return "ES256";
    case JwsAlgorithm::Rs256:
      return "RS256";
    case JwsAlgorithm::Ps256:
      return "PS256";
  }
  return "unknown";
}

Result<Jws> parse_jws(std::string_view text, const JwsRules& rules) {
  if (text.size() > rules.size_limit) {
    return fail(ErrorCode::ResourceExhausted, "the token is longer than allowed");
  }
  const std::size_t first = text.find('.');
  const std::size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
  if (second == std::string_view::npos || text.find('.', second + 1) != std::string_view::npos) {
    return fail(ErrorCode::InvalidArgument, "the token does not have three parts");
  }
  if (first > kHeaderLimit) {
    return fail(ErrorCode::ResourceExhausted, "the token's header is longer than allowed");
  }
  const auto header = base::from_base64url(text.substr(0, first));
  if (!header) return base::with_context("the token's header", header.error());
  Jws jws;
  LARDER_TRY(read_header(*header, rules, jws));
  auto payload = base::from_base64url(text.substr(first + 1, second - first - 1));
  if (!payload) return base::with_context("the token's payload", payload.error());
  auto signature = base::from_base64url(text.substr(second + 1));
  if (!signature) return base::with_context("the token's signature", signature.error());
  if (signature->empty()) return fail(ErrorCode::Unauthenticated, "the token is not signed");
  jws.payload = std::move(*payload);
  jws.signature = std::move(*signature);
  jws.signing_input = text.substr(0, second);
  return jws;
}

Status verify_jws(const Jws& jws, const PublicKey& key) {
  if (!key_fits(jws.algorithm, key)) {
    return fail(ErrorCode::Unauthenticated, "the key does not fit the token's algorithm");
  }
  std::string signature = jws.signature;
  if (jws.algorithm == JwsAlgorithm::Es256) {
    auto der = der_from_raw(jws.signature);
    if (!der) return std::unexpected(der.error());
    signature = std::move(*der);
  }
  const DigestContextHandle context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;  // owned by the digest context
  if (!context ||
      EVP_DigestVerifyInit(context.get(), &key_context, EVP_sha256(), nullptr, key.native()) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot verify a signature");
  }
  // RFC 7518 section 3.5: the salt is as long as the digest, MGF1 uses the same digest.
  if (jws.algorithm == JwsAlgorithm::Ps256 &&
      (EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return fail_openssl(ErrorCode::Internal, "cannot verify a signature");
  }
  const auto signature_bytes = base::as_bytes(signature);
  const auto input = base::as_bytes(jws.signing_input);
  if (EVP_DigestVerify(context.get(), signature_bytes.data(), signature_bytes.size(), input.data(),
                       input.size()) != 1) {
    return fail_openssl(ErrorCode::Unauthenticated, "the token's signature is wrong");
  }
  return {};
}

Result<std::string> sign_jws(const JwsHeader& header, std::string_view payload,
                             const PrivateKey& key) {
  if (key.public_key().type() != KeyType::EcP256) {
    return fail(ErrorCode::InvalidArgument, "ES256 needs an EC P-256 key");
  }
  base::Json fields = header_fields(header, "ES256");
  if (header.embed_key) {
    const auto jwk = key.public_key().to_jwk();
    if (!jwk) return jwk;
    fields["jwk"] = base::Json::parse(*jwk, nullptr, false);
  }
  std::string text = signing_input(fields, payload);
  const DigestContextHandle context(EVP_MD_CTX_new());
  std::array<std::uint8_t, 128> der{};
  std::size_t size = der.size();
  const auto input = base::as_bytes(text);
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.native()) != 1 ||
      EVP_DigestSign(context.get(), der.data(), &size, input.data(), input.size()) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot sign");
  }
  const auto raw = raw_from_der(std::span(der).first(size));
  if (!raw) return raw;
  return text + "." + base::to_base64url(base::as_bytes(*raw));
}

std::string sign_jws_hmac(const JwsHeader& header, std::string_view payload,
                          std::string_view secret) {
  const std::string text = signing_input(header_fields(header, "HS256"), payload);
  return text + "." + base::to_base64url(hmac_sha256(secret, text));
}

}  // namespace larder::crypto
