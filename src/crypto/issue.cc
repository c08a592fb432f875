#include "crypto/issue.h"

#include <algorithm>
#include <array>

#include "base/address.h"
#include "base/encoding.h"
#include "base/random.h"
#include "crypto/openssl_error.h"
#include "crypto/x509_text.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kSerialDigitsLimit = 40;  // RFC 5280 section 4.1.2.2: 20 octets

using SubtreeHandle = Handle<GENERAL_SUBTREE, GENERAL_SUBTREE_free>;
using NameConstraintsHandle = Handle<NAME_CONSTRAINTS, NAME_CONSTRAINTS_free>;
using BasicConstraintsHandle = Handle<BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_free>;
using BitStringHandle = Handle<ASN1_BIT_STRING, ASN1_BIT_STRING_free>;
using OctetStringHandle = Handle<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free>;
using ExtendedUsageHandle = Handle<EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free>;
using AuthorityKeyHandle = Handle<AUTHORITY_KEYID, AUTHORITY_KEYID_free>;
using DistributionPointHandle = Handle<DIST_POINT, DIST_POINT_free>;
using DistributionPointsHandle = Handle<CRL_DIST_POINTS, CRL_DIST_POINTS_free>;

std::unexpected<base::Error> cannot_build() {
  return fail_openssl(ErrorCode::Internal, "cannot build the certificate");
}

Status add_extension(X509* certificate, int nid, void* value, bool critical) {
  if (X509_add1_ext_i2d(certificate, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) != 1) {
    return cannot_build();
  }
  return {};
}

Result<Asn1IntegerHandle> make_serial(const std::string& serial_hex) {
  std::string digits = serial_hex;
  if (digits.empty()) {
    std::array<std::uint8_t, 16> bytes{};
    base::random_bytes(bytes);
    // Positive, never zero, and always of the same length.
    bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7F) | 0x40);
    digits = base::to_hex(bytes);
  }
  const auto bytes = digits.size() <= kSerialDigitsLimit ? base::from_hex(digits)
                                                         : Result<std::string>(std::string());
  if (!bytes || bytes->empty()) {
    return fail(ErrorCode::InvalidArgument, "a serial number has 2 to 40 hexadecimal digits");
  }
  const BignumHandle number(
      BN_bin2bn(base::as_bytes(*bytes).data(), static_cast<int>(bytes->size()), nullptr));
  Asn1IntegerHandle serial(number ? BN_to_ASN1_INTEGER(number.get(), nullptr) : nullptr);
  if (!serial) return cannot_build();
  return serial;
}

// Takes the bytes of one constraint: an IA5String for names, address and mask for GEN_IPADD.
Status add_subtree(STACK_OF(GENERAL_SUBTREE) * *list, int type, std::string_view value) {
  if (*list == nullptr) *list = sk_GENERAL_SUBTREE_new_null();
  SubtreeHandle subtree(GENERAL_SUBTREE_new());
  ASN1_STRING* text =
      ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
  if (*list == nullptr || !subtree || text == nullptr ||
      ASN1_STRING_set(text, value.data(), static_cast<int>(value.size())) != 1) {
    ASN1_STRING_free(text);
    return cannot_build();
  }
  GENERAL_NAME_set0_value(subtree->base, type, text);
  if (sk_GENERAL_SUBTREE_push(*list, subtree.get()) <= 0) return cannot_build();
  (void)subtree.release();
  return {};
}

// RFC 5280 section 4.2.1.10: the address, then the mask.
std::string address_and_mask(const base::AddressRange& range) {
  const std::size_t size = range.ipv6 ? 16 : 4;
  std::string text(base::as_text(std::span(range.bytes).first(size)));
  for (std::size_t i = 0; i < size; ++i) {
    const int bits = std::clamp(range.prefix_length - static_cast<int>(i) * 8, 0, 8);
    text += static_cast<char>(0xFF00 >> bits);
  }
  return text;
}

Status add_address_constraints(NAME_CONSTRAINTS* constraints, const NameConstraints& allowed) {
  bool has_v4 = false;
  bool has_v6 = false;
  for (const std::string& text : allowed.address_ranges) {
    const auto range = base::parse_address_range(text);
    if (!range) return std::unexpected(range.error());
    (range->ipv6 ? has_v6 : has_v4) = true;
    LARDER_TRY(add_subtree(&constraints->permittedSubtrees, GEN_IPADD, address_and_mask(*range)));
  }
  // A permitted list of one family already excludes the other in OpenSSL, but not in every reader.
  if (!has_v4) {
    LARDER_TRY(add_subtree(&constraints->excludedSubtrees, GEN_IPADD, std::string(8, '\0')));
  }
  if (!has_v6) {
    LARDER_TRY(add_subtree(&constraints->excludedSubtrees, GEN_IPADD, std::string(32, '\0')));
  }
  return {};
}

Status add_name_constraints(X509* certificate, const NameConstraints& allowed) {
  const NameConstraintsHandle constraints(NAME_CONSTRAINTS_new());
  if (!constraints) return cannot_build();
  for (const std::string& suffix : allowed.dns_suffixes) {
    LARDER_TRY(check_dns_name(suffix, false));
    LARDER_TRY(add_subtree(&constraints->permittedSubtrees, GEN_DNS, suffix));
  }
  if (allowed.dns_suffixes.empty()) {
    LARDER_TRY(add_subtree(&constraints->excludedSubtrees, GEN_DNS, ""));
  }
  LARDER_TRY(add_address_constraints(constraints.get(), allowed));
  // Readers disagree on an empty excluded e-mail or URI constraint; a permitted host that can never
  // exist (RFC 6761) shuts out all others in each of them.
  LARDER_TRY(add_subtree(&constraints->permittedSubtrees, GEN_EMAIL, "invalid"));
  LARDER_TRY(add_subtree(&constraints->permittedSubtrees, GEN_URI, "invalid"));
  return add_extension(certificate, NID_name_constraints, constraints.get(), true);
}

Status add_basic_constraints(X509* certificate, const CertificateTemplate& content) {
  const BasicConstraintsHandle constraints(BASIC_CONSTRAINTS_new());
  if (!constraints) return cannot_build();
  constraints->ca = content.is_ca ? 0xFF : 0;
  if (content.is_ca && content.path_length) {
    constraints->pathlen = ASN1_INTEGER_new();
    if (constraints->pathlen == nullptr ||
        ASN1_INTEGER_set(constraints->pathlen, *content.path_length) != 1) {
      return cannot_build();
    }
  }
  return add_extension(certificate, NID_basic_constraints, constraints.get(), true);
}

Status add_key_usage(X509* certificate, const CertificateTemplate& content) {
  const BitStringHandle usage(ASN1_BIT_STRING_new());
  constexpr int kDigitalSignature = 0;
  constexpr int kKeyCertSign = 5;
  constexpr int kCrlSign = 6;
  bool worked = usage != nullptr;
  if (content.is_ca) {
    worked = worked && ASN1_BIT_STRING_set_bit(usage.get(), kKeyCertSign, 1) == 1 &&
             ASN1_BIT_STRING_set_bit(usage.get(), kCrlSign, 1) == 1;
  } else {
    worked = worked && ASN1_BIT_STRING_set_bit(usage.get(), kDigitalSignature, 1) == 1;
  }
  if (!worked) return cannot_build();
  return add_extension(certificate, NID_key_usage, usage.get(), true);
}

Status add_extended_usage(X509* certificate, const CertificateTemplate& content) {
  if (!content.server_auth && !content.client_auth) return {};
  const ExtendedUsageHandle usage(sk_ASN1_OBJECT_new_null());
  if (!usage) return cannot_build();
  // OBJ_nid2obj gives static objects: the list frees nothing.
  if (content.server_auth && sk_ASN1_OBJECT_push(usage.get(), OBJ_nid2obj(NID_server_auth)) <= 0) {
    return cannot_build();
  }
  if (content.client_auth && sk_ASN1_OBJECT_push(usage.get(), OBJ_nid2obj(NID_client_auth)) <= 0) {
    return cannot_build();
  }
  return add_extension(certificate, NID_ext_key_usage, usage.get(), false);
}

// RFC 7093 section 2 method 1: the first 160 bits of the SHA-256 of the key.
Status add_subject_key_id(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  const OctetStringHandle id(ASN1_OCTET_STRING_new());
  if (!id || X509_pubkey_digest(certificate, EVP_sha256(), digest, nullptr) != 1 ||
      ASN1_OCTET_STRING_set(id.get(), digest, 20) != 1) {
    return cannot_build();
  }
  return add_extension(certificate, NID_subject_key_identifier, id.get(), false);
}

Result<AuthorityKeyHandle> make_authority_key_id(X509* issuer) {
  AuthorityKeyHandle id(AUTHORITY_KEYID_new());
  if (!id) return cannot_build();
  // Not X509_get0_subject_key_id: it caches facts of a certificate that is still being built.
  id->keyid = static_cast<ASN1_OCTET_STRING*>(
      X509_get_ext_d2i(issuer, NID_subject_key_identifier, nullptr, nullptr));
  return id;
}

Status add_crl_url(X509* certificate, const std::string& url) {
  if (url.empty()) return {};
  auto names = make_general_names({.uris = {url}});
  if (!names) return std::unexpected(names.error());
  DistributionPointHandle point(DIST_POINT_new());
  const DistributionPointsHandle points(sk_DIST_POINT_new_null());
  if (!point || !points) return cannot_build();
  point->distpoint = DIST_POINT_NAME_new();
  if (point->distpoint == nullptr) return cannot_build();
  point->distpoint->type = 0;  // fullName
  point->distpoint->name.fullname = names->release();
  if (sk_DIST_POINT_push(points.get(), point.get()) <= 0) return cannot_build();
  (void)point.release();
  return add_extension(certificate, NID_crl_distribution_points, points.get(), false);
}

Status check_template(const CertificateTemplate& content) {
  if (content.not_after <= content.not_before) {
    return fail(ErrorCode::InvalidArgument, "a certificate must not end before it begins");
  }
  if (!content.is_ca && (content.constraints || content.path_length)) {
    return fail(ErrorCode::InvalidArgument, "only a CA has name constraints and a path length");
  }
  return {};
}

Result<CertificateHandle> build(const CertificateTemplate& content, EVP_PKEY* subject_key) {
  LARDER_TRY(check_template(content));
  const auto subject = make_name(content.subject);
  if (!subject) return std::unexpected(subject.error());
  const auto serial = make_serial(content.serial_hex);
  if (!serial) return std::unexpected(serial.error());
  const auto not_before = make_time(content.not_before);
  if (!not_before) return std::unexpected(not_before.error());
  const auto not_after = make_time(content.not_after);
  if (!not_after) return std::unexpected(not_after.error());
  CertificateHandle certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      X509_set_serialNumber(certificate.get(), serial->get()) != 1 ||
      X509_set_subject_name(certificate.get(), subject->get()) != 1 ||
      X509_set1_notBefore(certificate.get(), not_before->get()) != 1 ||
      X509_set1_notAfter(certificate.get(), not_after->get()) != 1 ||
      X509_set_pubkey(certificate.get(), subject_key) != 1) {
    return cannot_build();
  }
  LARDER_TRY(add_basic_constraints(certificate.get(), content));
  LARDER_TRY(add_key_usage(certificate.get(), content));
  LARDER_TRY(add_extended_usage(certificate.get(), content));
  LARDER_TRY(add_subject_key_id(certificate.get()));
  if (!content.names.empty()) {
    const auto names = make_general_names(content.names);
    if (!names) return std::unexpected(names.error());
    // RFC 5280 section 4.2.1.6: critical when the subject is empty.
    const bool critical = X509_NAME_entry_count(subject->get()) == 0;
    LARDER_TRY(add_extension(certificate.get(), NID_subject_alt_name, names->get(), critical));
  }
  if (content.constraints) {
    LARDER_TRY(add_name_constraints(certificate.get(), *content.constraints));
  }
  LARDER_TRY(add_crl_url(certificate.get(), content.crl_url));
  return certificate;
}

Result<Certificate> sign(CertificateHandle certificate, X509* issuer, const PrivateKey& key) {
  if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1) {
    return cannot_build();
  }
  const auto authority = make_authority_key_id(issuer);
  if (!authority) return std::unexpected(authority.error());
  LARDER_TRY(
      add_extension(certificate.get(), NID_authority_key_identifier, authority->get(), false));
  if (X509_sign(certificate.get(), key.native(), signature_digest(key.native())) <= 0) {
    return fail_openssl(ErrorCode::Internal, "cannot sign the certificate");
  }
  // Read anew, so that nothing that OpenSSL cached while building survives.
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return cannot_build();
  auto result = Certificate::from_der({der, static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return result;
}

Status check_issuer(const Certificate& issuer, const PrivateKey& issuer_key) {
  if (!issuer.is_ca()) {
    return fail(ErrorCode::FailedPrecondition, "the issuer's certificate is no CA certificate");
  }
  if (!issuer.matches(issuer_key)) {
    return fail(ErrorCode::FailedPrecondition,
                "the issuer's certificate does not belong to the issuer's key");
  }
  return {};
}

Status add_revoked(X509_CRL* crl, const RevokedCertificate& entry) {
  const auto serial = make_serial(entry.serial_hex.empty() ? "not given" : entry.serial_hex);
  if (!serial) return std::unexpected(serial.error());
  const auto date = make_time(entry.revoked_at);
  if (!date) return std::unexpected(date.error());
  RevokedHandle revoked(X509_REVOKED_new());
  if (!revoked || X509_REVOKED_set_serialNumber(revoked.get(), serial->get()) != 1 ||
      X509_REVOKED_set_revocationDate(revoked.get(), date->get()) != 1) {
    return cannot_build();
  }
  if (entry.reason != RevocationReason::Unspecified) {
    const Handle<ASN1_ENUMERATED, ASN1_ENUMERATED_free> reason(ASN1_ENUMERATED_new());
    if (!reason || ASN1_ENUMERATED_set(reason.get(), static_cast<long>(entry.reason)) != 1 ||
        X509_REVOKED_add1_ext_i2d(revoked.get(), NID_crl_reason, reason.get(), 0, 0) != 1) {
      return cannot_build();
    }
  }
  if (X509_CRL_add0_revoked(crl, revoked.get()) != 1) return cannot_build();
  (void)revoked.release();
  return {};
}

Status add_crl_extensions(X509_CRL* crl, std::uint64_t number, X509* issuer) {
  const Asn1IntegerHandle value(ASN1_INTEGER_new());
  if (!value || ASN1_INTEGER_set_uint64(value.get(), number) != 1 ||
      X509_CRL_add1_ext_i2d(crl, NID_crl_number, value.get(), 0, 0) != 1) {
    return cannot_build();
  }
  const auto authority = make_authority_key_id(issuer);
  if (!authority) return std::unexpected(authority.error());
  if (X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, authority->get(), 0, 0) != 1) {
    return cannot_build();
  }
  return {};
}

}  // namespace

Result<Certificate> issue(const CertificateTemplate& content, const PublicKey& subject_key,
                          const Certificate& issuer, const PrivateKey& issuer_key) {
  LARDER_TRY(check_issuer(issuer, issuer_key));
  auto certificate = build(content, subject_key.native());
  if (!certificate) return std::unexpected(certificate.error());
  return sign(std::move(*certificate), issuer.native(), issuer_key);
}

Result<Certificate> issue_self_signed(const CertificateTemplate& content, const PrivateKey& key) {
  auto certificate = build(content, key.native());
  if (!certificate) return std::unexpected(certificate.error());
  X509* const own = certificate->get();
  return sign(std::move(*certificate), own, key);
}

Result<Certificate> make_challenge_certificate(const PrivateKey& key, const AlternativeNames& name,
                                               const Sha256Digest& digest, base::WallTime now) {
  CertificateTemplate content;
  content.names = name;
  content.not_before = now - std::chrono::hours(24);  // the server's clock may differ
  content.not_after = now + std::chrono::hours(24);
  content.server_auth = true;
  auto certificate = build(content, key.native());
  if (!certificate) return std::unexpected(certificate.error());
  // An OCTET STRING in the extension's OCTET STRING; libcrypto knows no name for it.
  std::string value{"\x04\x20", 2};
  value += base::as_text(digest);
  const Handle<ASN1_OBJECT, ASN1_OBJECT_free> type(OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1));
  const OctetStringHandle octets(ASN1_OCTET_STRING_new());
  if (!type || !octets ||
      ASN1_OCTET_STRING_set(octets.get(), base::as_bytes(value).data(),
                            static_cast<int>(value.size())) != 1) {
    return cannot_build();
  }
  const Handle<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509_EXTENSION_create_by_OBJ(nullptr, type.get(), 1, octets.get()));
  if (!extension || X509_add_ext(certificate->get(), extension.get(), -1) != 1) {
    return cannot_build();
  }
  X509* const own = certificate->get();
  return sign(std::move(*certificate), own, key);
}

Result<Certificate> make_client_certificate(const PrivateKey& key, const std::string& common_name,
                                            base::WallTime not_before, base::WallTime not_after) {
  CertificateTemplate content;
  content.subject.common_name = common_name;
  content.not_before = not_before;
  content.not_after = not_after;
  content.client_auth = true;
  return issue_self_signed(content, key);
}

Result<std::string> issue_crl(const CrlTemplate& content, const Certificate& issuer,
                              const PrivateKey& issuer_key) {
  LARDER_TRY(check_issuer(issuer, issuer_key));
  const auto this_update = make_time(content.this_update);
  if (!this_update) return std::unexpected(this_update.error());
  const auto next_update = make_time(content.next_update);
  if (!next_update) return std::unexpected(next_update.error());
  const CrlHandle crl(X509_CRL_new());
  if (!crl || X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2) != 1 ||
      X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.native())) != 1 ||
      X509_CRL_set1_lastUpdate(crl.get(), this_update->get()) != 1 ||
      X509_CRL_set1_nextUpdate(crl.get(), next_update->get()) != 1) {
    return cannot_build();
  }
  for (const RevokedCertificate& entry : content.revoked) {
    LARDER_TRY(add_revoked(crl.get(), entry));
  }
  LARDER_TRY(add_crl_extensions(crl.get(), content.number, issuer.native()));
  if (X509_CRL_sort(crl.get()) != 1 ||
      X509_CRL_sign(crl.get(), issuer_key.native(), signature_digest(issuer_key.native())) <= 0) {
    return fail_openssl(ErrorCode::Internal, "cannot sign the revocation list");
  }
  unsigned char* der = nullptr;
  const int size = i2d_X509_CRL(crl.get(), &der);
  if (size <= 0) return cannot_build();
  std::string result(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return result;
}

}  // namespace larder::crypto
