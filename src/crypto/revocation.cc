#include "crypto/revocation.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/tls1.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "crypto/handles.h"
#include "crypto/openssl_error.h"
#include "crypto/x509_text.h"

namespace larder::crypto {

using base::ErrorCode;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kPlacesLimit = 4;
constexpr std::size_t kUrlLimit = 2048;
// By which the issuer's clock and ours may differ, at each time that is compared.
constexpr std::chrono::minutes kSkew{5};
// How long something holds that does not say so itself.
constexpr std::chrono::days kLongestWithoutEnd{7};

using OcspRequestHandle = Handle<OCSP_REQUEST, OCSP_REQUEST_free>;
using OcspResponseHandle = Handle<OCSP_RESPONSE, OCSP_RESPONSE_free>;
using OcspBasicHandle = Handle<OCSP_BASICRESP, OCSP_BASICRESP_free>;
using OcspIdHandle = Handle<OCSP_CERTID, OCSP_CERTID_free>;
using UrlsHandle =
    std::unique_ptr<STACK_OF(OPENSSL_STRING),
                    decltype([](STACK_OF(OPENSSL_STRING) * urls) { X509_email_free(urls); })>;
using PointsHandle =
    std::unique_ptr<STACK_OF(DIST_POINT),
                    decltype([](STACK_OF(DIST_POINT) * points) { CRL_DIST_POINTS_free(points); })>;
using FeaturesHandle = Handle<TLS_FEATURE, TLS_FEATURE_free>;
using DistributionPointHandle = Handle<ISSUING_DIST_POINT, ISSUING_DIST_POINT_free>;
using BorrowedChain =
    std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * chain) { sk_X509_free(chain); })>;

void add_place(std::vector<std::string>& places, std::string_view url) {
  if (!url.starts_with("http://") || url.size() > kUrlLimit || places.size() >= kPlacesLimit)
    return;
  for (const char c : url) {
    if (c <= ' ' || c > '~') return;
  }
  places.emplace_back(url);
}

std::string reason_text(int reason) {
  if (reason < 0) return {};
  const char* const text = OCSP_crl_reason_str(reason);
  return text != nullptr ? text : std::string();
}

base::Status check_times(base::WallTime this_update, std::optional<base::WallTime> next_update,
                         base::WallTime now) {
  if (this_update > now + kSkew) {
    return fail(ErrorCode::FailedPrecondition,
                "it is from the future: " + base::to_rfc3339(this_update));
  }
  if (next_update && *next_update + kSkew < now) {
    return fail(ErrorCode::FailedPrecondition,
                "it is out of date since " + base::to_rfc3339(*next_update));
  }
  if (!next_update && this_update + kLongestWithoutEnd + kSkew < now) {
    return fail(ErrorCode::FailedPrecondition,
                "it does not say how long it holds, and is more than 7 days old: it is of " +
                    base::to_rfc3339(this_update));
  }
  return {};
}

// Whoever signs an answer does so by the same clocks as what it says. The end of its validity.
Result<base::WallTime> check_signer(const X509* signer, base::WallTime now) {
  const auto from = to_wall_time(X509_get0_notBefore(signer));
  const auto until = to_wall_time(X509_get0_notAfter(signer));
  if (!from) return std::unexpected(from.error());
  if (!until) return std::unexpected(until.error());
  const auto refuse = [&](const char* what, base::WallTime when) {
    return fail(ErrorCode::Unauthenticated, "the OCSP answer's signer \"" +
                                                name_text(X509_get_subject_name(signer)) + "\" " +
                                                what + " " + base::to_rfc3339(when));
  };
  if (*from > now + kSkew) return refuse("is valid only from", *from);
  if (*until + kSkew < now) return refuse("expired on", *until);
  return *until;
}

bool names_url(const DIST_POINT_NAME& point, std::string_view url) {
  if (point.type != 0) return false;  // relative to the issuer's name, which no URL is
  for (int i = 0; i < sk_GENERAL_NAME_num(point.name.fullname); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(point.name.fullname, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* const uri = name->d.uniformResourceIdentifier;
    if (url == std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                                static_cast<std::size_t>(ASN1_STRING_length(uri)))) {
      return true;
    }
  }
  return false;
}

// What a list leaves out says nothing about whom it is silent about.
base::Status check_distribution_point(const ISSUING_DIST_POINT& point,
                                      const Certificate& certificate, std::string_view url) {
  const auto beside = [](const char* what) {
    return fail(ErrorCode::FailedPrecondition, std::string("the revocation list ") + what);
  };
  if (point.onlyattr > 0) return beside("is about attribute certificates only");
  if (point.onlyuser > 0 && certificate.is_ca()) return beside("is not about certificates of CAs");
  if (point.onlyCA > 0 && !certificate.is_ca()) return beside("is about certificates of CAs only");
  if (point.onlysomereasons != nullptr) return beside("is about some reasons only");
  if (point.indirectCRL > 0) return beside("is about certificates of several issuers");
  if (point.distpoint != nullptr && !names_url(*point.distpoint, url)) {
    return beside("is meant for another distribution point than the one it was fetched from");
  }
  return {};
}

// A list with a critical extension that is not understood may not be used to decide that a
// certificate is good (RFC 5280 section 5.2); so one that says only what has changed.
base::Status check_extensions(const X509_CRL* list, const Certificate& certificate,
                              std::string_view url) {
  for (int i = 0; i < X509_CRL_get_ext_count(list); ++i) {
    X509_EXTENSION* const extension = X509_CRL_get_ext(list, i);
    const int kind = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (kind == NID_delta_crl) {
      return fail(ErrorCode::FailedPrecondition, "it lists only what changed since another list");
    }
    if (kind == NID_issuing_distribution_point) {
      const DistributionPointHandle point(
          static_cast<ISSUING_DIST_POINT*>(X509V3_EXT_d2i(extension)));
      if (!point) {
        return fail_openssl(ErrorCode::InvalidArgument,
                            "the revocation list's distribution point cannot be read");
      }
      LARDER_TRY(check_distribution_point(*point, certificate, url));
    } else if (X509_EXTENSION_get_critical(extension) != 0) {
      return fail(ErrorCode::FailedPrecondition,
                  "the revocation list has a critical extension that is not understood");
    }
  }
  // The same of an entry, whosever it is: it may change whom the next ones are about.
  STACK_OF(X509_REVOKED)* const entries = X509_CRL_get_REVOKED(const_cast<X509_CRL*>(list));
  for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
    const X509_REVOKED* const entry = sk_X509_REVOKED_value(entries, i);
    if (X509_REVOKED_get_ext_by_critical(entry, 1, -1) >= 0) {
      return fail(ErrorCode::FailedPrecondition,
                  "an entry of the revocation list has a critical extension that is not "
                  "understood");
    }
  }
  return {};
}

Result<std::optional<base::WallTime>> optional_time(const ASN1_TIME* time) {
  if (time == nullptr) return std::nullopt;
  const auto read = to_wall_time(time);
  if (!read) return std::unexpected(read.error());
  return *read;
}

Result<CrlHandle> parse_list(std::string_view content) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(content.data());
  CrlHandle list(d2i_X509_CRL(nullptr, &bytes, static_cast<long>(content.size())));
  if (!list) {
    const BioHandle text(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
    if (text) list.reset(PEM_read_bio_X509_CRL(text.get(), nullptr, nullptr, nullptr));
  }
  if (!list) return fail_openssl(ErrorCode::InvalidArgument, "it is no revocation list");
  return list;
}

}  // namespace

RevocationPlaces revocation_places(const Certificate& certificate) {
  RevocationPlaces places;
  const UrlsHandle responders(X509_get1_ocsp(certificate.native()));
  for (int i = 0; i < sk_OPENSSL_STRING_num(responders.get()); ++i) {
    add_place(places.responders, sk_OPENSSL_STRING_value(responders.get(), i));
  }
  const PointsHandle points(static_cast<STACK_OF(DIST_POINT)*>(
      X509_get_ext_d2i(certificate.native(), NID_crl_distribution_points, nullptr, nullptr)));
  for (int i = 0; i < sk_DIST_POINT_num(points.get()); ++i) {
    const DIST_POINT* const point = sk_DIST_POINT_value(points.get(), i);
    if (point->distpoint == nullptr || point->distpoint->type != 0) continue;
    const GENERAL_NAMES* const names = point->distpoint->name.fullname;
    for (int j = 0; j < sk_GENERAL_NAME_num(names); ++j) {
      const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names, j);
      if (name->type != GEN_URI) continue;
      const ASN1_IA5STRING* const uri = name->d.uniformResourceIdentifier;
      add_place(places.lists, {reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                               static_cast<std::size_t>(ASN1_STRING_length(uri))});
    }
  }
  return places;
}

bool demands_staple(const Certificate& certificate) {
  const FeaturesHandle features(static_cast<TLS_FEATURE*>(
      X509_get_ext_d2i(certificate.native(), NID_tlsfeature, nullptr, nullptr)));
  for (int i = 0; i < sk_ASN1_INTEGER_num(features.get()); ++i) {
    if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features.get(), i)) == TLSEXT_TYPE_status_request) {
      return true;
    }
  }
  return false;
}

Result<std::string> make_ocsp_request(const Certificate& certificate, const Certificate& issuer) {
  const OcspRequestHandle request(OCSP_REQUEST_new());
  // SHA-1 names the issuer here, it protects nothing: responders know no other (RFC 6960 4.3).
  OcspIdHandle id(OCSP_cert_to_id(EVP_sha1(), certificate.native(), issuer.native()));
  if (!request || !id || OCSP_request_add0_id(request.get(), id.get()) == nullptr) {
    return fail_openssl(ErrorCode::Internal, "cannot make an OCSP request");
  }
  [[maybe_unused]] auto* owned_by_request = id.release();
  unsigned char* der = nullptr;
  const int length = i2d_OCSP_REQUEST(request.get(), &der);
  if (length <= 0) return fail_openssl(ErrorCode::Internal, "cannot write an OCSP request");
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return text;
}

Result<RevocationStatus> read_ocsp_response(std::string_view der, const Certificate& certificate,
                                            const Certificate& issuer, base::WallTime now) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const OcspResponseHandle response(
      d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(der.size())));
  if (!response) return fail_openssl(ErrorCode::InvalidArgument, "it is no OCSP answer");
  const int outcome = OCSP_response_status(response.get());
  if (outcome != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return fail(ErrorCode::FailedPrecondition,
                std::string("the responder says ") + OCSP_response_status_str(outcome));
  }
  const OcspBasicHandle basic(OCSP_response_get1_basic(response.get()));
  if (!basic) return fail_openssl(ErrorCode::InvalidArgument, "it is no OCSP answer");
  // Only the issuer is trusted, whoever its own issuer is: a delegate is one that it signed.
  const StoreHandle store(X509_STORE_new());
  const BorrowedChain known(sk_X509_new_null());
  if (!store || !known || X509_STORE_add_cert(store.get(), issuer.native()) != 1 ||
      sk_X509_push(known.get(), issuer.native()) <= 0) {
    return fail_openssl(ErrorCode::Internal, "cannot verify an OCSP answer");
  }
  X509_VERIFY_PARAM* const rules = X509_STORE_get0_param(store.get());
  // OpenSSL knows no skew: whose turn it is to sign is looked at below.
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  X509* signer = nullptr;
  if (OCSP_basic_verify(basic.get(), known.get(), store.get(), 0) != 1 ||
      OCSP_resp_get0_signer(basic.get(), &signer, known.get()) != 1) {
    return fail_openssl(ErrorCode::Unauthenticated, "the OCSP answer's signature is not good");
  }
  const auto signer_end = check_signer(signer, now);
  if (!signer_end) return std::unexpected(signer_end.error());
  LARDER_TRY(check_signer(issuer.native(), now));
  const OcspIdHandle id(OCSP_cert_to_id(EVP_sha1(), certificate.native(), issuer.native()));
  int status = V_OCSP_CERTSTATUS_UNKNOWN;
  int reason = -1;
  ASN1_GENERALIZEDTIME* revoked_at = nullptr;
  ASN1_GENERALIZEDTIME* this_update = nullptr;
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  if (!id || OCSP_resp_find_status(basic.get(), id.get(), &status, &reason, &revoked_at,
                                   &this_update, &next_update) != 1) {
    return fail(ErrorCode::FailedPrecondition, "the OCSP answer is about another certificate");
  }
  if (status == V_OCSP_CERTSTATUS_UNKNOWN) {
    return fail(ErrorCode::FailedPrecondition, "the responder does not know the certificate");
  }
  const auto from = to_wall_time(this_update);
  const auto until = optional_time(next_update);
  const auto when = optional_time(revoked_at);
  if (!from || !until || !when) {
    return fail(ErrorCode::InvalidArgument, "the OCSP answer's times cannot be read");
  }
  LARDER_TRY(check_times(*from, *until, now));
  return RevocationStatus{
      .is_revoked = status == V_OCSP_CERTSTATUS_REVOKED,
      .revoked_at = *when,
      .reason = reason_text(reason),
      .this_update = *from,
      .next_update = *until ? std::optional(std::min(**until, *signer_end)) : *until};
}

Result<RevocationStatus> read_revocation_list(std::string_view content, std::string_view url,
                                              const Certificate& certificate,
                                              const Certificate& issuer, base::WallTime now) {
  const auto list = parse_list(content);
  if (!list) return std::unexpected(list.error());
  EVP_PKEY* const key = X509_get0_pubkey(issuer.native());
  if (X509_NAME_cmp(X509_CRL_get_issuer(list->get()), X509_get_subject_name(issuer.native())) !=
          0 ||
      key == nullptr || X509_CRL_verify(list->get(), key) != 1) {
    return fail_openssl(ErrorCode::Unauthenticated,
                        "the revocation list is not signed by the certificate's issuer");
  }
  const auto from = to_wall_time(X509_CRL_get0_lastUpdate(list->get()));
  const auto until = optional_time(X509_CRL_get0_nextUpdate(list->get()));
  if (!from || !until) {
    return fail(ErrorCode::InvalidArgument, "the revocation list's times cannot be read");
  }
  LARDER_TRY(check_times(*from, *until, now));
  LARDER_TRY(check_extensions(list->get(), certificate, url));
  RevocationStatus status{.is_revoked = false,
                          .revoked_at = {},
                          .reason = {},
                          .this_update = *from,
                          .next_update = *until};
  X509_REVOKED* entry = nullptr;
  // 2 would be an entry that was taken off the list again.
  if (X509_CRL_get0_by_cert(list->get(), &entry, certificate.native()) != 1) return status;
  status.is_revoked = true;
  if (const auto when = to_wall_time(X509_REVOKED_get0_revocationDate(entry))) {
    status.revoked_at = *when;
  }
  int critical = 0;
  const Handle<ASN1_ENUMERATED, ASN1_ENUMERATED_free> reason(static_cast<ASN1_ENUMERATED*>(
      X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, &critical, nullptr)));
  if (reason) status.reason = reason_text(static_cast<int>(ASN1_ENUMERATED_get(reason.get())));
  return status;
}

}  // namespace larder::crypto
