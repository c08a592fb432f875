// Whether a certificate's issuer has taken it back: OCSP (RFC 6960) and revocation lists (RFC 5280
// section 5). Pure: what to ask and what an answer says; somebody else fetches.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "crypto/certificate.h"

namespace larder::crypto {

// Where a certificate says that its status can be had; http URLs only, at most 4 of each kind.
struct RevocationPlaces {
  std::vector<std::string> responders;  // OCSP
  std::vector<std::string> lists;       // CRL
};
RevocationPlaces revocation_places(const Certificate& certificate);

// The certificate says that its server staples an OCSP answer, so that clients may refuse it
// without one ("must-staple", RFC 7633).
bool demands_staple(const Certificate& certificate);

struct RevocationStatus {
  bool is_revoked = false;
  std::optional<base::WallTime> revoked_at;
  std::string reason;  // "keyCompromise"; empty when none was given
  base::WallTime this_update;
  // Until when it holds, as far as it says so: no longer than whoever signed an OCSP answer is
  // valid, so that nobody staples it longer.
  std::optional<base::WallTime> next_update;
};

// DER of a request for one certificate, for the body of a POST.
base::Result<std::string> make_ocsp_request(const Certificate& certificate,
                                            const Certificate& issuer);

// What a responder's answer (DER) says about the certificate. Unauthenticated when neither the
// issuer nor a responder that it delegated to (RFC 6960 section 4.2.2.2) has signed it, or whoever
// did is not valid at `now`; FailedPrecondition when it is not about this certificate, is out of
// date at `now`, or says that nobody knows the certificate. One that does not say how long it holds
// is out of date after 7 days. Clocks may differ by 5 minutes at every time that is compared.
base::Result<RevocationStatus> read_ocsp_response(std::string_view der,
                                                  const Certificate& certificate,
                                                  const Certificate& issuer, base::WallTime now);

// The same for a list (DER or PEM) of the issuer that was fetched from `url`. FailedPrecondition
// also when the list is not about all that the certificate could be revoked for, only says what has
// changed, or has a critical extension that is not understood.
base::Result<RevocationStatus> read_revocation_list(std::string_view content, std::string_view url,
                                                    const Certificate& certificate,
                                                    const Certificate& issuer, base::WallTime now);

}  // namespace larder::crypto
