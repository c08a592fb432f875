// For tests of revocation: what a responder would answer about a leaf, around kNow.
#pragma once

#include <openssl/ocsp.h>

#include <optional>
#include <string>

#include "crypto/handles.h"
#include "crypto/testing.h"

namespace larder::crypto::testing {

struct OcspAnswer {
  int status = V_OCSP_CERTSTATUS_GOOD;
  base::WallTime this_update = kNow - kDay;
  std::optional<base::WallTime> next_update = kNow + kDay;  // nothing: it does not say so
};

// DER, signed by `signer` and with its certificate; empty when that did not succeed.
inline std::string ocsp_answer(const Pair& signer, const Certificate& issuer,
                               const Certificate& leaf, const OcspAnswer& answer = {}) {
  const Handle<OCSP_BASICRESP, OCSP_BASICRESP_free> basic(OCSP_BASICRESP_new());
  const Handle<OCSP_CERTID, OCSP_CERTID_free> id(
      OCSP_cert_to_id(EVP_sha1(), leaf.native(), issuer.native()));
  const auto time_of = [](base::WallTime time) {
    return Asn1TimeHandle(ASN1_TIME_set(nullptr, base::to_unix_seconds(time)));
  };
  const Asn1TimeHandle from = time_of(answer.this_update);
  const Asn1TimeHandle until = time_of(answer.next_update.value_or(answer.this_update));
  OCSP_basic_add1_status(basic.get(), id.get(), answer.status, OCSP_REVOKED_STATUS_KEYCOMPROMISE,
                         answer.status == V_OCSP_CERTSTATUS_REVOKED ? from.get() : nullptr,
                         from.get(), answer.next_update ? until.get() : nullptr);
  if (OCSP_basic_sign(basic.get(), signer.certificate.native(), signer.key.native(), EVP_sha256(),
                      nullptr, 0) != 1) {
    return {};
  }
  const Handle<OCSP_RESPONSE, OCSP_RESPONSE_free> response(
      OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
  unsigned char* der = nullptr;
  const int length = i2d_OCSP_RESPONSE(response.get(), &der);
  if (length <= 0) return {};
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(length));
  OPENSSL_free(der);
  return text;
}

}  // namespace larder::crypto::testing
