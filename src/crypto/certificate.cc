#include "crypto/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/encoding.h"
#include "crypto/openssl_error.h"
#include "crypto/pem.h"
#include "crypto/x509_text.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kCertificateLimit = 64 * 1024;

std::string digest_hex(X509* certificate, const EVP_MD* algorithm) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(certificate, algorithm, digest, &size) != 1) return {};
  return base::to_hex(std::span(digest, size));
}

bool names_usage(X509* certificate, std::uint32_t usage) {
  // Absent is reported as "all bits set".
  const std::uint32_t usages = X509_get_extended_key_usage(certificate);
  return usages != UINT32_MAX && (usages & usage) != 0;
}

}  // namespace

Result<Certificate> Certificate::adopt(CertificateHandle handle) {
  const auto not_before = to_wall_time(X509_get0_notBefore(handle.get()));
  if (!not_before) return std::unexpected(not_before.error());
  const auto not_after = to_wall_time(X509_get0_notAfter(handle.get()));
  if (!not_after) return std::unexpected(not_after.error());
  return Certificate(SharedCertificate(handle.release()), *not_before, *not_after);
}

Result<Certificate> Certificate::from_der(std::span<const std::uint8_t> der) {
  if (der.size() > kCertificateLimit) {
    return fail(ErrorCode::ResourceExhausted, "the certificate is larger than 64 KiB");
  }
  const unsigned char* position = der.data();
  CertificateHandle handle(d2i_X509(nullptr, &position, static_cast<long>(der.size())));
  if (!handle) return fail_openssl(ErrorCode::InvalidArgument, "not a certificate");
  if (position != der.data() + der.size()) {
    return fail(ErrorCode::InvalidArgument, "bytes after the certificate");
  }
  return adopt(std::move(handle));
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  auto certificates = parse_certificates(pem, 1);
  if (!certificates) return std::unexpected(certificates.error());
  return std::move(certificates->front());
}

std::string Certificate::subject() const {
  return name_text(X509_get_subject_name(native()));
}

std::string Certificate::issuer() const {
  return name_text(X509_get_issuer_name(native()));
}

std::string Certificate::common_name() const {
  return common_name_of(X509_get_subject_name(native()));
}

std::string Certificate::serial_hex() const {
  const BignumHandle number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(native()), nullptr));
  if (!number) return {};
  char* text = BN_bn2hex(number.get());
  if (text == nullptr) return {};
  std::string result = base::to_lower(text);
  OPENSSL_free(text);
  return result;
}

AlternativeNames Certificate::alternative_names() const {
  const GeneralNamesHandle names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(native(), NID_subject_alt_name, nullptr, nullptr)));
  return from_general_names(names.get());
}

bool Certificate::is_ca() const {
  return X509_check_ca(native()) > 0;
}

bool Certificate::is_self_signed() const {
  return X509_self_signed(native(), 1) == 1;
}

bool Certificate::has_server_auth() const {
  return names_usage(native(), XKU_SSL_SERVER);
}

bool Certificate::has_client_auth() const {
  return names_usage(native(), XKU_SSL_CLIENT);
}

bool Certificate::may_sign() const {
  return (X509_get_key_usage(native()) & KU_DIGITAL_SIGNATURE) != 0;
}

bool Certificate::covers(const std::string& name) const {
  if (parse_address(name)) return X509_check_ip_asc(native(), name.c_str(), 0) == 1;
  constexpr unsigned int kFlags =
      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
  return X509_check_host(native(), name.data(), name.size(), kFlags, nullptr) == 1;
}

bool Certificate::matches(const PrivateKey& key) const {
  const EVP_PKEY* own = X509_get0_pubkey(native());
  return own != nullptr && EVP_PKEY_eq(own, key.native()) == 1;
}

bool Certificate::is_issuer_of(const Certificate& other) const {
  return X509_check_issued(native(), other.native()) == X509_V_OK;
}

bool Certificate::was_signed_by(const Certificate& other) const {
  EVP_PKEY* const key = X509_get0_pubkey(other.native());
  if (key == nullptr) return false;
  if (X509_NAME_cmp(X509_get_issuer_name(native()), X509_get_subject_name(other.native())) != 0) {
    return false;
  }
  const bool is_signed = X509_verify(native(), key) == 1;
  ERR_clear_error();
  return is_signed;
}

int Certificate::signature_security_bits() const {
  int bits = 0;
  return X509_get_signature_info(native(), nullptr, nullptr, &bits, nullptr) == 1 ? bits : 0;
}

std::string Certificate::signature_algorithm() const {
  const char* text = OBJ_nid2ln(X509_get_signature_nid(native()));
  return text != nullptr ? text : "unknown";
}

Result<PublicKey> Certificate::public_key() const {
  EVP_PKEY* key = X509_get_pubkey(native());
  if (key == nullptr) {
    return fail_openssl(ErrorCode::InvalidArgument, "the certificate's public key is not usable");
  }
  return PublicKey(SharedKey(key));
}

Sha256Digest Certificate::sha256() const {
  return crypto::sha256(to_der());
}

std::string Certificate::sha256_hex() const {
  return digest_hex(native(), EVP_sha256());
}

std::string Certificate::sha1_hex() const {
  return digest_hex(native(), EVP_sha1());
}

std::string Certificate::to_pem() const {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), native()) != 1) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string Certificate::to_der() const {
  unsigned char* der = nullptr;
  const int size = i2d_X509(native(), &der);
  if (size <= 0) return {};
  std::string result(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return result;
}

Result<std::vector<Certificate>> parse_certificates(std::string_view pem, std::size_t limit) {
  const auto blocks = parse_pem(pem, limit);
  if (!blocks) return std::unexpected(blocks.error());
  std::vector<Certificate> certificates;
  for (const PemBlock& block : *blocks) {
    if (block.kind.find("PRIVATE KEY") != std::string::npos) {
      return fail(ErrorCode::InvalidArgument, "the text holds a private key");
    }
    if (block.kind != PEM_STRING_X509 && block.kind != PEM_STRING_X509_OLD) {
      return fail(ErrorCode::InvalidArgument, "the text holds a PEM block that is no certificate");
    }
    auto certificate = Certificate::from_der(base::as_bytes(block.der));
    if (!certificate) return std::unexpected(certificate.error());
    certificates.push_back(std::move(*certificate));
  }
  if (certificates.empty()) {
    return fail(ErrorCode::InvalidArgument, "the text holds no certificate in PEM form");
  }
  return certificates;
}

std::string to_pem(std::span<const Certificate> chain) {
  std::string text;
  for (const Certificate& certificate : chain) text += certificate.to_pem();
  return text;
}

}  // namespace larder::crypto
