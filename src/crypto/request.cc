#include "crypto/request.h"

#include <openssl/pem.h>

#include "base/encoding.h"
#include "crypto/openssl_error.h"
#include "crypto/pem.h"
#include "crypto/x509_text.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kRequestLimit = 64 * 1024;
constexpr int kSecurityBitsMinimum = 112;

using ExtensionsHandle =
    std::unique_ptr<STACK_OF(X509_EXTENSION), decltype([](STACK_OF(X509_EXTENSION) * extensions) {
                      sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
                    })>;

Status add_names(X509_REQ* request, const AlternativeNames& names) {
  const auto general = make_general_names(names);
  if (!general) return std::unexpected(general.error());
  STACK_OF(X509_EXTENSION)* raw = nullptr;
  const int added =
      X509V3_add1_i2d(&raw, NID_subject_alt_name, general->get(), 0, X509V3_ADD_DEFAULT);
  const ExtensionsHandle extensions(raw);
  if (added != 1 || X509_REQ_add_extensions(request, raw) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot add names to the request");
  }
  return {};
}

}  // namespace

Result<CertificateRequest> CertificateRequest::create(const PrivateKey& key,
                                                      const DistinguishedName& subject,
                                                      const AlternativeNames& names) {
  if (names.empty()) {
    return fail(ErrorCode::InvalidArgument,
                "a request needs at least one alternative name (DNS name or address)");
  }
  const auto name = make_name(subject);
  if (!name) return std::unexpected(name.error());
  RequestHandle request(X509_REQ_new());
  if (!request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_subject_name(request.get(), name->get()) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.native()) != 1) {
    return fail_openssl(ErrorCode::Internal, "cannot build the request");
  }
  LARDER_TRY(add_names(request.get(), names));
  if (X509_REQ_sign(request.get(), key.native(), signature_digest(key.native())) <= 0) {
    return fail_openssl(ErrorCode::Internal, "cannot sign the request");
  }
  return CertificateRequest(std::move(request));
}

Result<CertificateRequest> CertificateRequest::from_pem(std::string_view pem) {
  if (pem.size() > kRequestLimit) {
    return fail(ErrorCode::ResourceExhausted, "the request is larger than 64 KiB");
  }
  const auto blocks = parse_pem(pem, 1);
  if (!blocks) return std::unexpected(blocks.error());
  if (blocks->size() != 1 || (blocks->front().kind != PEM_STRING_X509_REQ &&
                              blocks->front().kind != PEM_STRING_X509_REQ_OLD)) {
    return fail(ErrorCode::InvalidArgument, "not a certificate request in PEM form");
  }
  const auto der = base::as_bytes(blocks->front().der);
  const unsigned char* position = der.data();
  RequestHandle request(d2i_X509_REQ(nullptr, &position, static_cast<long>(der.size())));
  if (!request || position != der.data() + der.size()) {
    return fail_openssl(ErrorCode::InvalidArgument, "not a certificate request");
  }
  return CertificateRequest(std::move(request));
}

Status CertificateRequest::verify() const {
  const auto key = public_key();
  if (!key) return std::unexpected(key.error());
  if (key->type() == KeyType::Other || key->security_bits() < kSecurityBitsMinimum) {
    return fail(ErrorCode::PermissionDenied,
                "a key of type " + key->description() + " is too weak or not supported");
  }
  if (X509_REQ_verify(request_.get(), key->native()) != 1) {
    return fail_openssl(ErrorCode::Unauthenticated,
                        "the request is not signed by its own private key");
  }
  return {};
}

Result<PublicKey> CertificateRequest::public_key() const {
  EVP_PKEY* key = X509_REQ_get_pubkey(request_.get());
  if (key == nullptr) {
    return fail_openssl(ErrorCode::InvalidArgument, "the request's public key is not usable");
  }
  return PublicKey(SharedKey(key));
}

std::string CertificateRequest::subject() const {
  return name_text(X509_REQ_get_subject_name(request_.get()));
}

std::string CertificateRequest::common_name() const {
  return common_name_of(X509_REQ_get_subject_name(request_.get()));
}

AlternativeNames CertificateRequest::alternative_names() const {
  const ExtensionsHandle extensions(X509_REQ_get_extensions(request_.get()));
  if (!extensions) return {};
  const GeneralNamesHandle names(static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions.get(), NID_subject_alt_name, nullptr, nullptr)));
  return from_general_names(names.get());
}

std::string CertificateRequest::to_pem() const {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509_REQ(bio.get(), request_.get()) != 1) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string CertificateRequest::to_der() const {
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request_.get(), &der);
  if (size <= 0) return {};
  std::string result(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return result;
}

}  // namespace larder::crypto
